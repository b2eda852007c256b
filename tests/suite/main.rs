//! One binary for all tests; a file per subject.
fn main() {}
