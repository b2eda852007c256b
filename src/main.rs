//! The binary: wires the rooms of the library together.
fn main() {}
