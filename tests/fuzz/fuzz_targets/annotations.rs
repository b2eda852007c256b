//! Any annotations are either read or hold the call.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use redistribution_operator::protocol::annotations::{PREFIX, read};

fuzz_target!(|input: (BTreeMap<String, String>, String, String)| {
    let (others, key, value) = input;
    let mut annotations: BTreeMap<_, _> = others.into_iter().filter(|(key, _)| !key.starts_with(PREFIX)).collect();
    assert!(read(Some(&annotations)).is_ok_and(|switches| !switches.suspended && switches.not_after.is_none()));
    let known = ["suspend", "not-after", "credentials-secret"].contains(&key.as_str());
    annotations.insert(format!("{PREFIX}{key}"), value);
    assert!(known || read(Some(&annotations)).is_err());
});
