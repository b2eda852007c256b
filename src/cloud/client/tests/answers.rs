//! The table of answers over a plain socket, exact to the byte: bodies that are damaged, nested, compressed or truncated,
//! and heads with invalid headers.

use super::*;
use crate::cloud::outcome::{Answer, KeyEffect};

/// `{"error_code":"DWS.7023","error_msg":"x"}`, compressed.
const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x4a\x2d\x2a\xca\x2f\x8a\x4f\xce\x4f\x49\x55\xb2\x52\x72\x09\x0f\xd6\x33\x37\x30\x32\x56\xd2\x81\x8a\xe7\x16\xa7\x03\x85\x2b\x94\x6a\x01\x76\xde\x18\xb4\x29\x00\x00\x00";

/// The client's result for an answer with these header lines and this body; `more` bytes are announced that never arrive.
async fn answer_to(status: u16, headers: &str, body: &[u8], more: usize) -> Answer {
    let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len() + more);
    let bytes = [head.as_bytes(), body].concat();
    let peer = Peer::new(move |mut connection| {
        let bytes = bytes.clone();
        async move {
            connection.read_request().await;
            // The client reads a long body only up to its limit.
            let _ = connection.stream.write_all(&bytes).await;
        }
    })
    .await;
    match peer.send().await {
        Outcome::Answered(answer) => answer,
        other => panic!("{status} {}: {other:?}", String::from_utf8_lossy(body)),
    }
}

/// Bodies in which only a search through the bytes can find the code.
fn damaged(code: &str) -> Vec<(&'static str, Vec<u8>)> {
    let deep = format!(r#"{{"details":{}{},"error_code":"{code}"}}"#, "[".repeat(200), "]".repeat(200));
    let plain = format!(r#"{{"error_code":"{code}","error_msg":"x"}}"#);
    let wrapped = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &plain);
    vec![
        ("half a surrogate pair", format!(r#"{{"error_code":"{code}","error_msg":"x\ud83d"}}"#).into_bytes()),
        ("deeper than is parsed", deep.into_bytes()),
        ("no number", format!(r#"{{"error_code":"{code}","wait":NaN}}"#).into_bytes()),
        ("a second document", format!("{{}}{plain}").into_bytes()),
        ("trailing text", format!("{plain} and more").into_bytes()),
        ("text before", format!(")]}}',\n{plain}").into_bytes()),
        (
            "not UTF-8",
            [br#"{"error_msg":""#, &b"\xff\xfe"[..], br#"","error_code":""#, code.as_bytes(), br#""}"#].concat(),
        ),
        ("cut after the code", format!(r#"{{"error_code":"{code}","error_msg":"x"#).into_bytes()),
        ("an odd quote", format!(r#"{{"error_msg":"5" disk","error_code":"{code}"}}"#).into_bytes()),
        ("a line break in a text", format!("{{\"error_msg\":\"a\nb\",\"error_code\" :\n\"{code}\"}}").into_bytes()),
        ("a list", format!(r#"{{"error_code":["{code}"]}}"#).into_bytes()),
        ("a list, cut", format!(r#"{{"error_code":["{code}","#).into_bytes()),
        ("the key twice", format!(r#"{{"error_code":"{code}","error_code":"DWS.0000"}}"#).into_bytes()),
        ("the key twice, otherwise", format!(r#"{{"error_code":"DWS.0000","error_code":"{code}"}}"#).into_bytes()),
        ("in a list", format!(r#"[{{"error_code":"{code}"}}]"#).into_bytes()),
        ("among errors", format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#).into_bytes()),
        ("in an object", format!(r#"{{"error_code":{{"code":"{code}"}}}}"#).into_bytes()),
        ("far down", format!(r#"{{"a":[{{"b":{{"errCode":"{code}"}}}}]}}"#).into_bytes()),
        ("another key", format!(r#"{{"errorCode":"{code}"}}"#).into_bytes()),
        ("an escaped key", format!(r#"{{"error\u005fcode":"{code}"}}"#).into_bytes()),
        ("base64", wrapped.clone().into_bytes()),
        ("base64, cut", wrapped.bytes().take(wrapped.len() - 6).collect()),
        ("base64 in quotes", format!(r#""{wrapped}""#).into_bytes()),
        ("UTF-16", plain.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("after a byte order mark", format!("\u{feff} {plain}x").into_bytes()),
    ]
}

/// Bodies that do not show what they refuse, or whether they do.
fn without_a_code() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("cut in the code", br#"{"error_code":"DWS.70"#.to_vec()),
        ("cut at the end of the code", br#"{"error_code":"DWS.7023"#.to_vec()),
        ("compressed", GZIP.to_vec()),
        ("compressed, cut", GZIP.iter().copied().take(30).collect()),
    ]
}

#[tokio::test]
async fn a_2xx_with_a_code_anywhere_is_a_refusal_by_that_code() {
    for status in [200, 202] {
        for (name, body) in damaged("DWS.7023") {
            let answer = answer_to(status, "", &body, 0).await;
            assert_eq!((answer.reason, answer.status_code), (Reason::ClusterNotReady, status), "{status} {name}");
            assert_eq!(answer.error_code.as_deref(), Some("DWS.7023"), "{status} {name}");
        }
    }
    for (name, body) in damaged("APIGW.0301") {
        assert_eq!(answer_to(200, "", &body, 0).await.reason, Reason::Rejected, "{name}");
    }
    let broken = answer_to(200, "", br#"{"error_code":"DWS.7023","#, 10).await;
    assert_eq!(broken.reason, Reason::ClusterNotReady, "the code arrived complete");
}

#[tokio::test]
async fn a_2xx_that_does_not_report_success_is_unknown() {
    let bodies: [&[u8]; 24] = [
        br#"{"error_code":7023}"#,
        br#"{"error_code":"7023"}"#,
        br#"{"error_code":true}"#,
        br#"{"error_code":200}"#,
        br#"{"code":201}"#,
        br#"{"code":1}"#,
        br#"{"code":"FAIL"}"#,
        br#"{"code":{"x":1}}"#,
        br#"{"code":["OK"]}"#,
        br#"{"error_code":[["DWS.7023"]]}"#,
        br#"{"errors":["no"]}"#,
        br#"{"errors":{"a":1}}"#,
        br#"{"success":false}"#,
        br#"{"data":[{"success":false}]}"#,
        br#"{"error_msg":"no"}"#,
        br#"{"code":"OK","error_msg":"no"}"#,
        br#"{"error_code":"DWS.0000","errors":["no"]}"#,
        br#"{"a":1,"a":1}"#,
        br#"{"a":{"b":1,"b":2}}"#,
        br#"{"message":"{\"error_code\":\"DWS.7023\"}"}"#,
        br"{}{}",
        b"[]",
        b"null",
        b"<html><body>Welcome</body></html>",
    ];
    let more = without_a_code();
    for body in bodies.into_iter().chain(more.iter().map(|(_, body)| body.as_slice())) {
        let answer = answer_to(200, "", body, 0).await;
        let shown = String::from_utf8_lossy(body);
        assert_eq!((answer.reason, answer.status_code), (Reason::OutcomeUnknown, 200), "{shown}");
        assert_ne!(answer.key_effect, KeyEffect::RejectedByGateway, "{shown}");
    }
    let encoded = answer_to(200, "content-encoding: gzip\r\n", GZIP, 0).await;
    assert_eq!(encoded.reason, Reason::OutcomeUnknown);
}

#[tokio::test]
async fn a_2xx_that_reports_success_in_a_known_form_is_delivered() {
    for body in [
        "",
        " \r\n",
        "{}",
        "\u{feff}{ }\n",
        r#"{"code":"0"}"#,
        r#"{"code":0}"#,
        r#"{"code":"OK"}"#,
        r#"{"code":"ok"}"#,
        r#"{"errCode":"0"}"#,
        r#"{"code":"SUCCESS"}"#,
        r#"{"code":"Success","success":true,"errors":[]}"#,
        r#"{"code":200,"message":"x"}"#,
        r#"{"error_code":"","error_msg":""}"#,
        r#"{"error_code":null,"error_msg":null}"#,
        r#"{"error_code":"DWS.0000"}"#,
        r#"{"data":{"code":"OK"}}"#,
        r#"{"task_id":"DWS.7023"}"#,
    ] {
        let answer = answer_to(200, "", body.as_bytes(), 0).await;
        assert_eq!((answer.reason, answer.key_effect), (Reason::Delivered, KeyEffect::Good), "{body}");
    }
}

#[tokio::test]
async fn a_401_of_the_service_rejects_no_key_even_with_a_damaged_body() {
    for (name, body) in damaged("DWS.0047") {
        let answer = answer_to(401, "", &body, 0).await;
        assert_eq!((answer.reason, answer.key_effect), (Reason::ClusterNotFound, KeyEffect::Good), "{name}");
    }
    for (name, body) in without_a_code() {
        let answer = answer_to(401, "", &body, 0).await;
        assert_eq!(answer.reason, Reason::AuthenticationFailed, "{name}: a 401 is read in any case");
        assert_eq!(answer.key_effect, KeyEffect::Neutral, "{name}: its origin is not known");
    }
    for (header, body) in
        [("content-encoding: br\r\n", &b"\x0b\x02\x80"[..]), ("", b"\xc3\x28"), ("", b"&quot;DWS.0047&quot;")]
    {
        assert_eq!(answer_to(401, header, body, 0).await.key_effect, KeyEffect::Neutral, "its origin is not known");
    }
    for body in ["", "{}", "<html>", r#"{"error":{"code":401,"message":"x"}}"#] {
        let answer = answer_to(401, "", body.as_bytes(), 0).await;
        assert_eq!(answer.key_effect, KeyEffect::RejectedByGateway, "{body}: nothing in it is from the service");
    }
    let broken = answer_to(401, "", br#"{"error_"#, 10).await;
    assert_eq!((broken.reason, broken.key_effect), (Reason::AuthenticationFailed, KeyEffect::Neutral));
    for (name, body) in damaged("APIGW.0301") {
        let answer = answer_to(401, "", &body, 0).await;
        assert_eq!(
            (answer.reason, answer.key_effect),
            (Reason::AuthenticationFailed, KeyEffect::RejectedByGateway),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_4xx_that_was_not_read_whole_is_refused_only_by_its_code() {
    for (name, body) in damaged("DWS.7023") {
        for more in [0, 10] {
            let answer = answer_to(403, "", &body, more).await;
            assert_eq!((answer.reason, answer.status_code), (Reason::ClusterNotReady, 403), "{name} {more}");
        }
    }
    for (name, body) in without_a_code() {
        for more in [0, 10] {
            let answer = answer_to(403, "", &body, more).await;
            assert_eq!((answer.reason, answer.status_code), (Reason::OutcomeUnknown, 403), "{name} {more}");
        }
    }
    let large = [br#"{"a":""#, " ".repeat(70 * 1024).as_bytes(), br#"","error_code":"DWS.7023"}"#].concat();
    let early = [br#"{"error_code":"DWS.7023","a":""#, " ".repeat(70 * 1024).as_bytes(), br#""}"#].concat();
    for status in [400, 403, 404, 408, 409, 418, 499] {
        for body in [&b""[..], b"{", b"<html>"] {
            let answer = answer_to(status, "", body, 10).await;
            assert_eq!((answer.reason, answer.status_code), (Reason::OutcomeUnknown, status), "broke off");
        }
        assert_eq!(answer_to(status, "", &large, 0).await.reason, Reason::OutcomeUnknown, "too large");
        assert_eq!(answer_to(status, "", &early, 0).await.reason, Reason::ClusterNotReady, "its code arrived");
    }
    for (status, reason) in [(401, Reason::AuthenticationFailed), (429, Reason::TooManyRequests)] {
        for body in [&b""[..], b"{", b"<html>"] {
            assert_eq!(answer_to(status, "", body, 10).await.reason, reason, "read in any case");
        }
        assert_eq!(answer_to(status, "", &large, 0).await.reason, reason, "read in any case");
    }
}

#[tokio::test]
async fn a_redirect_is_unknown_and_its_host_is_named() {
    for status in [300, 301, 302, 303, 304, 307, 308] {
        for (location, named) in [
            ("location: https://user:pass@Elsewhere.example:8443/v2?token=canary\r\n", "elsewhere.example:8443"),
            ("location: /again\r\n", "127.0.0.1"),
            ("location: http://[2001:db8::1]/\r\n", "[2001:db8::1]"),
            ("location: https://accesskey.example/\r\n", "***"),
            ("location: \u{1b}[31m\r\n", "redirect"),
            ("", "redirect"),
        ] {
            for body in ["", r#"{"error_code":"DWS.7023"}"#] {
                let answer = answer_to(status, location, body.as_bytes(), 0).await;
                assert_eq!((answer.reason, answer.status_code), (Reason::OutcomeUnknown, status), "{location}");
                let message = &answer.message;
                assert!(message.contains("redirect") && message.contains(named), "{message}");
                assert!(!message.contains("canary") && !message.contains("pass@"), "{message}");
                assert!(message.ends_with("to a new value") && message.chars().count() <= 256, "{message}");
            }
        }
    }
}

#[tokio::test]
async fn an_invalid_header_is_ignored_and_the_rest_of_the_answer_is_read() {
    for line in [
        "x-request-id: a\u{1b}[31mb\r\n",
        "x-request-id: \u{7}\r\n",
        "x-request-id: a\u{7f}\r\n",
        "bad name: x\r\n",
        "x-\u{1b}: x\r\n",
        "nothing\r\n",
        ": x\r\n",
    ] {
        let delivered = answer_to(200, line, b"{}", 0).await;
        assert_eq!((delivered.reason, delivered.request_id), (Reason::Delivered, None), "{line:?}");
        let headers = format!("x-trace: ok\r\n{line}retry-after: 7\r\n");
        let refused = answer_to(429, &headers, br#"{"error_code":"APIGW.0308","request_id":"in-the-body"}"#, 0).await;
        assert_eq!(refused.key_effect, KeyEffect::Throttled(Duration::from_secs(7)), "{line:?}");
        assert_eq!(refused.request_id.as_deref(), Some("in-the-body"), "{line:?}");
    }
}
