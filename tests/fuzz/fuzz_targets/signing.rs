//! For any input, the signature is 64 hexadecimal digits and always the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redistribution_operator::cloud::signing::{Request, signature};

fuzz_target!(|input: (String, String, Vec<(String, String)>, Vec<(String, String)>, Vec<u8>)| {
    let (secret, path, query, headers, body) = input;
    let pairs: Vec<_> = query.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let lines: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let request = Request { method: "POST", path: &path, query: &pairs, headers: &lines, body: &body };
    let made = signature(&secret, "20261125T120000Z", &request);
    assert!(made.len() == 64 && made.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(made, signature(&secret, "20261125T120000Z", &request));
});
