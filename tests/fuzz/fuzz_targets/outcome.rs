//! No answer of the cloud makes its reader panic, leaks a secret, or is trusted beyond what its status can prove.
#![no_main]

use k8s_openapi::jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use redistribution_operator::{cloud::outcome::{Body, Reply, classify}, api::ReasonClass};

const SECRET: &str = "Sup3r/Secret+Canary";

fuzz_target!(|input: (u16, Option<String>, Option<String>, Vec<u8>, u8)| {
    let (status, header, text, bytes, end) = input;
    let told = |text: &str| format!("{{\"error_code\":\"{text}\",\"error_msg\":\"{SECRET}{text}\"}}").into_bytes();
    let body = match (end % 4, text) {
        (0, _) => Body::Broken(bytes),
        (1, _) => Body::TooLarge(bytes),
        (2, Some(text)) => Body::Complete(told(&text)),
        _ => Body::Complete(bytes),
    };
    let is_whole = matches!(body, Body::Complete(_));
    let (date, retry_after, request_id) = (header.clone(), header.clone(), header.clone());
    let (encoding, redirect) = (None, header.map(|header| header + SECRET));
    let reply = Reply { status, date, retry_after, request_id, encoding, redirect, body };
    let answer = classify(&reply, &[SECRET], Timestamp::UNIX_EPOCH);
    assert_eq!(answer.status_code, status);
    assert!(answer.message.chars().count() <= 256 && !answer.message.contains(SECRET));
    match answer.reason.class() {
        ReasonClass::Delivered => assert!((200..300).contains(&status) && is_whole && answer.error_code.is_none()),
        ReasonClass::Refused => assert!((200..300).contains(&status) || (400..500).contains(&status)),
        _ => {}
    }
});
