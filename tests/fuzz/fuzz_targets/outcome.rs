//! No answer of the cloud breaks its reading or gets a secret out.
#![no_main]

use k8s_openapi::jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use redistribution_operator::dws::outcome::{Body, Reply, classify};

const SECRET: &str = "Sup3r/Secret+Canary";

fuzz_target!(|input: (u16, Option<String>, Option<String>, Vec<u8>, u8)| {
    let (status, header, text, bytes, end) = input;
    let body = match (end % 4, text) {
        (0, _) => Body::Broken,
        (1, _) => Body::TooLarge,
        (2, Some(text)) => Body::Complete(format!("{{\"error_code\":\"{text}\",\"error_msg\":\"{SECRET}{text}\"}}").into_bytes()),
        _ => Body::Complete(bytes),
    };
    let reply = Reply { status, date: header.clone(), retry_after: header.clone(), request_id: header, body };
    let answer = classify(&reply, &[SECRET], Timestamp::UNIX_EPOCH);
    assert_eq!(answer.status_code, status);
    assert!(answer.message.chars().count() <= 256 && !answer.message.contains(SECRET));
});
