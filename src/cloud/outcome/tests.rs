use proptest::prelude::*;

use super::*;

mod table;

fn now() -> Timestamp {
    "2026-12-01T18:00:00Z".parse().unwrap()
}

fn reply(status: u16, body: &str) -> Reply {
    Reply {
        status,
        date: Some("Tue, 01 Dec 2026 18:00:01 GMT".to_owned()),
        retry_after: None,
        request_id: Some("req-1".to_owned()),
        encoding: None,
        redirect: None,
        body: Body::Complete(body.as_bytes().to_vec()),
    }
}

fn read(status: u16, body: &str) -> Answer {
    classify(&reply(status, body), &["AK-canary", "SK-canary"], now())
}

fn fault(code: &str, text: &str) -> String {
    serde_json::json!({"error_code": code, "error_msg": text}).to_string()
}

#[test]
fn a_2xx_is_delivered_if_its_body_is_empty_or_an_object_without_a_code() {
    for status in [200, 201, 202, 204, 299] {
        for body in ["", "{}", "{ }", "{\"x\":1}", &fault("DWS.0000", ""), "\u{feff}"] {
            let answer = read(status, body);
            assert_eq!(
                (answer.reason, answer.status_code, answer.key_effect),
                (Reason::Delivered, status, KeyEffect::Good),
                "{body}"
            );
        }
        for body in ["[]", "null", "<html>", "OK", &fault("DWS.0000", "ok")] {
            let answer = read(status, body);
            assert_eq!((answer.reason, answer.key_effect), (Reason::OutcomeUnknown, KeyEffect::Neutral), "{body}");
        }
    }
}

#[test]
fn a_2xx_with_an_error_code_is_a_refusal_that_keeps_its_status() {
    let answer = read(200, &fault("DWS.7023", "Cluster status is not allowed to operation."));
    assert_eq!((answer.reason, answer.status_code), (Reason::ClusterNotReady, 200));
    assert_eq!(answer.error_code.as_deref(), Some("DWS.7023"));
    assert_eq!(read(202, &fault("DWS.5037", "x")).reason, Reason::Rejected);
}

#[test]
fn an_answer_whose_body_was_not_read_to_its_end_is_unknown() {
    for body in [Body::Broken(b"{}".to_vec()), Body::TooLarge(b"{}".to_vec()), Body::Broken(Vec::new())] {
        for status in [200, 403] {
            let mut reply = reply(status, "");
            reply.body = body.clone();
            let answer = classify(&reply, &[], now());
            assert_eq!((answer.reason, answer.status_code), (Reason::OutcomeUnknown, status));
        }
    }
}

#[test]
fn an_answer_whose_code_proves_no_refusal_is_unknown() {
    for status in [200, 202, 400, 401, 403, 404, 408, 409, 429, 499] {
        for (code, text) in
            [("DWS.9999", "failed"), ("DWS.9999", ""), ("DWS.9999", "DWS.0005"), ("DWS.0005", "Server failure.")]
        {
            let answer = read(status, &fault(code, text));
            assert_eq!((answer.reason, answer.status_code), (Reason::OutcomeUnknown, status), "{status} {code} {text}");
            assert_eq!(answer.error_code.as_deref(), Some(code));
            assert!(
                answer.message.contains("proves no refusal") && answer.message.ends_with("to a new value"),
                "{}",
                answer.message
            );
        }
    }
    assert_eq!(read(408, "").reason, Reason::OutcomeUnknown);
    assert_eq!(read(408, &fault("DWS.7023", "x")).reason, Reason::ClusterNotReady, "the service has processed it");
}

#[test]
fn only_the_service_itself_proves_a_key() {
    let not_json = "<html>Bad Gateway</html>";
    for status in [301, 400, 403, 404, 405, 500, 502, 503, 504] {
        for body in ["", not_json, "{}", &fault("APIGW.0302", "x"), &fault("PAP5.0001", "x")] {
            assert_eq!(read(status, body).key_effect, KeyEffect::Neutral, "{status} {body}");
        }
        assert_eq!(read(status, &fault("DWS.0005", "x")).key_effect, KeyEffect::Good, "{status}");
    }
}

#[test]
fn every_body_shape_gives_its_code() {
    let base64 = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE, text);
    let shape_a = fault("DWS.7023", "x");
    let shapes = [
        ("A", 403, shape_a.clone(), Some("DWS.7023"), Reason::ClusterNotReady),
        (
            "B",
            500,
            r#"{"errCode":"DWS.0005","externalMessage":"Server failure."}"#.into(),
            Some("DWS.0005"),
            Reason::ServerError,
        ),
        (
            "C",
            403,
            r#"{"error_code":"DWS.7023","error_msg":"x","errCode":"DWS.7023","externalMessage":"x"}"#.into(),
            Some("DWS.7023"),
            Reason::ClusterNotReady,
        ),
        (
            "D",
            429,
            r#"{"error_code":"APIGW.0308","error_msg":"x","request_id":"r"}"#.into(),
            Some("APIGW.0308"),
            Reason::TooManyRequests,
        ),
        (
            "E",
            401,
            r#"{"error":{"code":401,"message":"x","title":"Unauthorized"}}"#.into(),
            None,
            Reason::AuthenticationFailed,
        ),
        (
            "F",
            403,
            r#"{"code":"PAP5.0001","message":"x","encoded_authorization_message":"y","details":[]}"#.into(),
            Some("PAP5.0001"),
            Reason::PermissionDenied,
        ),
        ("G text", 502, "upstream is away".into(), None, Reason::ServerError),
        ("G base64", 403, base64(&shape_a), Some("DWS.7023"), Reason::ClusterNotReady),
        ("H", 200, fault("DWS.7023", "x"), Some("DWS.7023"), Reason::ClusterNotReady),
        ("I", 417, fault("DWS.1234", "x"), Some("DWS.1234"), Reason::Rejected),
    ];
    for (name, status, body, code, reason) in shapes {
        let answer = read(status, &body);
        assert_eq!((answer.error_code.as_deref(), answer.reason), (code, reason), "shape {name}");
    }
}

#[test]
fn every_known_code_of_the_service_has_its_reason() {
    use Reason::{
        BadRequest, ClusterNotFound, ClusterNotReady, Delivered, NotFound, OutcomeUnknown, PermissionDenied,
        ServerError,
    };
    for (status, code, text, expected) in [
        (200, "DWS.0000", "", Delivered),
        (400, "DWS.0001", "illegal cluster id", BadRequest),
        (500, "DWS.0005", "Server failure.", ServerError),
        (403, "DWS.0015", "", ClusterNotFound),
        (400, "DWS.0015", "", ClusterNotFound),
        (401, "DWS.0047", "", ClusterNotFound),
        (404, "DWS.0047", "", ClusterNotFound),
        (404, "DWS.3027", "", ClusterNotFound),
        (403, "DWS.7023", "", ClusterNotReady),
        (403, "DWS.9999", "failed: DWS.7023 not allowed", ClusterNotReady),
        (200, "DWS.9999", "DWS.0047", ClusterNotFound),
        (500, "DWS.9999", "DWS.7023", ServerError),
        (403, "DWS.9999", "DWS.99 DWS.x", OutcomeUnknown),
        (400, "DWS.7107", "", BadRequest),
        (400, "DWS.5037", "", BadRequest),
        (400, "DWS.5038", "", BadRequest),
        (400, "DWS.5039", "", BadRequest),
        (400, "DWS.5045", "", BadRequest),
        (400, "DWS.5060", "", BadRequest),
        (400, "DWS.5063", "", BadRequest),
        (400, "DWS.5064", "", BadRequest),
        (400, "DWS.5065", "", BadRequest),
        (400, "DWS.5095", "", BadRequest),
        (400, "DWS.5206", "", BadRequest),
        (403, "DWS.5036", "", PermissionDenied),
        (404, "DWS.4040", "", NotFound),
    ] {
        let answer = read(status, &fault(code, text));
        assert_eq!((answer.reason, answer.key_effect), (expected, KeyEffect::Good), "{status} {code}");
    }
}

#[test]
fn every_known_code_of_the_gateway_has_its_reason() {
    use Reason::{
        AuthenticationFailed, BadRequest, ClockSkew, NotFound, PermissionDenied, Rejected, ServerError, TooManyRequests,
    };
    let rejected = KeyEffect::RejectedByGateway;
    for prefix in ["APIGW", "APIG"] {
        for (status, number, text, reason, effect) in [
            (404, "0101", "The API does not exist", NotFound, KeyEffect::Neutral),
            (400, "0201", "", BadRequest, KeyEffect::Neutral),
            (413, "0201", "", Rejected, KeyEffect::Neutral),
            (414, "0201", "", Rejected, KeyEffect::Neutral),
            (494, "0201", "", Rejected, KeyEffect::Neutral),
            (500, "0201", "", ServerError, KeyEffect::Neutral),
            (502, "0201", "", ServerError, KeyEffect::Neutral),
            (504, "0201", "", ServerError, KeyEffect::Neutral),
            (401, "0301", "verify aksk signature fail", AuthenticationFailed, rejected),
            (
                401,
                "0301",
                "calc aksk signature fail:signature expired, signature time:x, server time:y",
                ClockSkew,
                KeyEffect::ClockSkew,
            ),
            (401, "0301", "decrypt token fail", AuthenticationFailed, rejected),
            (401, "0301", "ak AK-canary not exist", AuthenticationFailed, rejected),
            (401, "0301", "Get secretKey failed", AuthenticationFailed, rejected),
            (
                401,
                "0301",
                "AK access failed to reach the limit,forbidden",
                AuthenticationFailed,
                KeyEffect::LockedByGateway,
            ),
            (403, "0302", "", PermissionDenied, KeyEffect::Neutral),
            (401, "0305", "", AuthenticationFailed, rejected),
            (403, "0306", "", PermissionDenied, KeyEffect::Neutral),
            (401, "0307", "The token must be updated", AuthenticationFailed, rejected),
            (403, "0310", "", PermissionDenied, KeyEffect::Neutral),
            (500, "0601", "", ServerError, KeyEffect::Neutral),
            (500, "0606", "", ServerError, KeyEffect::Neutral),
            (500, "0608", "", ServerError, KeyEffect::Neutral),
            (502, "0610", "", ServerError, KeyEffect::Neutral),
            (503, "0613", "", ServerError, KeyEffect::Neutral),
            (403, "0802", "", PermissionDenied, KeyEffect::Neutral),
            (
                429,
                "0308",
                "policy user over ratelimit,limit:200,time:5 minute",
                TooManyRequests,
                KeyEffect::Throttled(Duration::from_secs(300)),
            ),
        ] {
            let answer = read(status, &fault(&format!("{prefix}.{number}"), text));
            assert_eq!((answer.reason, answer.key_effect), (reason, effect), "{status} {prefix}.{number} {text}");
            assert!(!answer.message.contains("canary"), "{}", answer.message);
        }
    }
}

#[test]
fn without_a_body_the_status_decides() {
    use Reason::{
        AuthenticationFailed, BadRequest, NotFound, OutcomeUnknown, PermissionDenied, Rejected, ServerError,
        TooManyRequests,
    };
    for (status, reason) in [
        (400, BadRequest),
        (401, AuthenticationFailed),
        (403, PermissionDenied),
        (404, NotFound),
        (429, TooManyRequests),
        (100, OutcomeUnknown),
        (199, OutcomeUnknown),
        (300, OutcomeUnknown),
        (301, OutcomeUnknown),
        (303, OutcomeUnknown),
        (307, OutcomeUnknown),
        (399, OutcomeUnknown),
        (405, Rejected),
        (408, OutcomeUnknown),
        (409, Rejected),
        (418, Rejected),
        (500, ServerError),
        (503, ServerError),
        (599, ServerError),
    ] {
        assert_eq!(read(status, "").reason, reason, "{status}");
    }
}

#[test]
fn a_429_waits_by_its_header_else_by_its_text_else_a_minute() {
    let wait = |retry_after: Option<&str>, text: &str| {
        let mut reply = reply(429, &fault("APIGW.0308", text));
        reply.retry_after = retry_after.map(str::to_owned);
        match classify(&reply, &[], now()).key_effect {
            KeyEffect::Throttled(wait) => wait.as_secs(),
            other => panic!("{other:?}"),
        }
    };
    let text = "policy ip over ratelimit,limit:5,time:1 second";
    assert_eq!(wait(Some("7"), text), 7);
    assert_eq!(wait(Some("Tue, 01 Dec 2026 18:00:30 GMT"), text), 30);
    assert_eq!(wait(Some("Tue, 01 Dec 2026 17:00:00 GMT"), text), 1, "not at once");
    assert_eq!(wait(Some("0"), text), 1, "not at once");
    assert_eq!(wait(None, text), 1);
    assert_eq!(wait(Some("soon"), text), 1);
    assert_eq!(wait(None, "limit:200,time:5 minute"), 300);
    assert_eq!(wait(None, "time:2 hour"), 900, "capped");
    assert_eq!(wait(None, "time:99999999999999999999 day"), 60);
    assert_eq!(wait(None, "time:18446744073709551615 day"), 60);
    assert_eq!(wait(None, "slow down"), 60);
    assert_eq!(wait(Some("999999"), ""), 900, "capped");
}

#[test]
fn a_401_of_the_gateway_with_a_wrong_clock_is_a_clock_skew() {
    let mut skewed = reply(401, "");
    skewed.date = Some("Tue, 01 Dec 2026 18:15:01 GMT".to_owned());
    let answer = classify(&skewed, &[], now());
    assert_eq!((answer.reason, answer.key_effect), (Reason::ClockSkew, KeyEffect::ClockSkew));
    assert!(answer.message.contains("15 minutes off"), "{}", answer.message);
    skewed.date = Some("Tue, 01 Dec 2026 18:14:00 GMT".to_owned());
    assert_eq!(classify(&skewed, &[], now()).reason, Reason::AuthenticationFailed);
    skewed.body = Body::Complete(fault("DWS.0047", "").into_bytes());
    skewed.date = None;
    assert_eq!(classify(&skewed, &[], now()).reason, Reason::ClusterNotFound);
}

#[test]
fn a_message_never_quotes_the_gateway_and_scrubs_the_service() {
    let echo = "Incorrect IAM authentication information: verify aksk signature fail, canonicalRequest:POST|/v2/x/|host:dws|x-security-token:tok|Access=AK-canary, Signature=0123";
    let answer = read(401, &fault("APIGW.0301", echo));
    for piece in ["canonicalRequest", "tok", "Access=", "0123", "canary"] {
        assert!(!answer.message.contains(piece), "{}", answer.message);
    }
    let text = "Cluster \u{1b}[31mbusy\n with SK-canary at e59d6b86-9072-46eb-a996-13f8b44994c1 and AbCdEfGhIjKlMnOpQrStUvWxYz0123456789";
    let message = read(403, &fault("DWS.7023", text)).message;
    assert!(
        message.contains("with *** at e59d6b86-9072-46eb-a996-13f8b44994c1") && !message.contains("QrStUv"),
        "{message}"
    );
    assert!(!message.chars().any(char::is_control));
}

#[test]
fn ids_hold_id_characters_only() {
    let mut odd = reply(400, &fault("DWS.5038\u{7}<b>", "x"));
    odd.request_id = Some(format!("a b/{}", "c".repeat(300)));
    let answer = classify(&odd, &[], now());
    assert_eq!(answer.error_code, None, "it is no code and does not become one");
    assert_eq!(answer.request_id.unwrap().len(), 128);
    let mut none = reply(400, r#"{"error_code":"DWS.5038","request_id":"in-the-body"}"#);
    none.request_id = None;
    let answer = classify(&none, &[], now());
    assert_eq!(answer.request_id.as_deref(), Some("in-the-body"));
    assert_eq!(answer.error_code.as_deref(), Some("DWS.5038"));
}

#[test]
fn a_status_from_600_on_is_read_as_a_5xx() {
    for status in [600, 700, 999] {
        for body in ["", &fault("DWS.7023", "x")] {
            assert_eq!(read(status, body).reason, Reason::ServerError, "{status} {body}");
        }
    }
}

#[test]
fn a_byte_order_mark_or_folded_base64_does_not_hide_the_code_of_a_2xx() {
    let refusal = fault("DWS.7023", "Cluster status is not allowed to operation. It is written long to be folded.");
    assert_eq!(read(200, &format!("\u{feff}{refusal}")).reason, Reason::ClusterNotReady);
    let wrapped = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, refusal);
    let folded = wrapped.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>();
    assert!(folded.len() > 1);
    assert_eq!(read(200, &folded.join("\r\n")).reason, Reason::ClusterNotReady);
}

#[test]
fn an_escape_hides_neither_key_nor_code_in_a_damaged_body() {
    for body in [
        r#"{"error\_code":"DWS.7023"}"#,
        r#"{"error_code":"DWS\.7023"}"#,
        r#"{"error_code":"DWS\.7023\n"}"#,
        r#"{"error_msg":"5" disk","code":"DWS.7023\n"}"#,
    ] {
        for status in [200, 403] {
            assert_eq!(read(status, body).reason, Reason::ClusterNotReady, "{status} {body}");
        }
    }
}

#[test]
fn an_echo_of_the_key_is_neither_code_nor_id() {
    let mut echo = reply(403, &fault("HST3CANARYKEY", "x"));
    echo.request_id = Some("for:HST3CANARYKEY-1".to_owned());
    let answer = classify(&echo, &["HST3CANARYKEY"], now());
    assert_eq!((answer.error_code.as_deref(), answer.request_id.as_deref()), (None, None));
    let as_code = classify(&reply(403, &fault("CANARY.12345678", "x")), &["CANARY12345678", "Y.123"], now());
    assert_eq!(as_code.error_code, None, "{}", as_code.message);
    assert!(!answer.message.contains("CANARY"), "{}", answer.message);
}

#[test]
fn scrub_removes_invisible_characters_before_it_searches_for_secrets() {
    let turns =
        ['\u{202e}', '\u{202a}', '\u{2066}', '\u{2069}', '\u{200e}', '\u{200f}', '\u{61c}', '\u{200b}', '\u{feff}'];
    let controls = ['\u{0}', '\u{7}', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', '\n'];
    for character in turns.into_iter().chain(controls).chain(['\u{2028}', '\u{ad}', '\u{e0041}']) {
        let text = format!("Cluster {character}busy{character} SK-can{character}ary");
        let message = read(403, &fault("DWS.7023", &text)).message;
        assert!(message.contains("busy") && !message.contains(character), "{message:?}");
        if !controls.contains(&character) {
            assert!(!message.contains("SK-"), "{message}");
        }
    }
    assert_eq!(scrub("集群 ж é 🙂", &[], 80), "集群 ж é 🙂", "letters of any script stay");
}

#[test]
fn an_answer_to_a_read_is_refused_by_its_own_code_only() {
    let reason = |status: u16, body: &str| {
        let request = RequestKind { with_token: false, only_read: true };
        classify_as(request, &reply(status, body), &[], now()).reason
    };
    for shown in [
        r#"{"cluster":{"status":"AVAILABLE","failed_reasons":{"error_code":"DWS.6000","error_msg":"x"}}}"#,
        r#"{"redis_info":null,"error_msg":"x"}"#,
        r#"{"redis_info":{"success":false,"errors":["x"]},"code":200}"#,
    ] {
        assert_eq!(reason(200, shown), Reason::Delivered, "{shown}");
    }
    assert_eq!(reason(200, &fault("DWS.0047", "x")), Reason::ClusterNotFound);
    assert_eq!(reason(200, &fault("DWS.1234", "x")), Reason::Rejected);
    assert_eq!(reason(404, &fault("DWS.5037", "x")), Reason::NotFound);
    for unreadable in [
        r#"{"cluster":{"failed_reasons":{"error_code":"DWS.6000"}}"#,
        r#"{"success":false}"#,
        r#"{"code":"FAIL"}"#,
        r#"{"cluster":{},"cluster":{}}"#,
        "<html>",
    ] {
        assert_eq!(reason(200, unreadable), Reason::OutcomeUnknown, "{unreadable}");
    }
}

#[test]
fn scrub_removes_a_secret_whole_that_begins_with_another() {
    assert_eq!(scrub("got KEYrest and KEY", &["KEY", "KEYrest"], 80), "got *** and ***");
}

#[test]
fn the_longest_quote_does_not_truncate_the_advice() {
    let text = "word ".repeat(40);
    for (status, code) in [
        (400, "DWS.5038"),
        (401, "DWS.1111"),
        (403, "DWS.5036"),
        (404, "DWS.1111"),
        (429, "DWS.1111"),
        (404, "DWS.3027"),
        (403, "DWS.7023"),
        (500, "DWS.0005"),
        (200, "DWS.0005"),
        (417, "DWS.1111"),
    ] {
        for code in [code.to_owned(), format!("{code:0<12}")] {
            let message = read(status, &fault(&code, &text)).message;
            let ends = [
                "each change of the spec sends a new request",
                "to a new value",
                "to a new value to send a new request",
            ];
            assert!(ends.iter().any(|end| message.ends_with(end)), "{status} {code}: {message}");
            assert!(message.contains("word word"), "{message}");
        }
    }
}

proptest! {
    #[test]
    fn no_answer_makes_classify_fail_or_leak_a_secret(
        status in 100_u16..=999,
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        code in "[A-Za-z.0-9]{0,12}",
        text in ".{0,300}",
        header in proptest::option::of(".{0,40}"),
        shape in 0_u8..6,
        end in 0_u8..3,
    ) {
        let secret = "Sup3r/Secret+Canary";
        let text = format!("{text}{secret}{text}");
        let body = match shape {
            0 => bytes,
            1 => serde_json::json!({"error_code": code, "error_msg": text}).to_string().into_bytes(),
            2 => serde_json::json!({"error_code": secret, "error_msg": text, "request_id": secret}).to_string().into_bytes(),
            3 => serde_json::json!({"error_code": "DWS.9999", "error_msg": text}).to_string().into_bytes(),
            4 => serde_json::json!({"error": {"code": code, "message": text}}).to_string().into_bytes(),
            _ => serde_json::json!({"errCode": format!("DWS.{code}"), "externalMessage": text}).to_string().into_bytes(),
        };
        let body = match end { 0 => Body::Broken(body), 1 => Body::TooLarge(body), _ => Body::Complete(body) };
        let (date, retry_after, redirect) = (header.clone(), header.clone(), header.clone().map(|header| header + secret));
        let (encoding, request_id) = (None, header.map(|header| header + secret));
        let reply = Reply { status, date, retry_after, request_id, encoding, redirect, body };
        let answer = classify(&reply, &[secret], now());
        prop_assert!(answer.message.chars().count() <= 256);
        prop_assert!(!answer.message.contains(secret));
        let ids = [answer.error_code, answer.request_id].into_iter().flatten();
        for id in ids {
            prop_assert!(!id.contains("Sup3r") && id.len() <= 128 && id.is_ascii(), "{}", id);
        }
        prop_assert_eq!(answer.status_code, status);
        prop_assert_eq!(answer.reason == Reason::Delivered, answer.reason.class() == crate::api::ReasonClass::Delivered);
        let class = answer.reason.class();
        prop_assert!(class != crate::api::ReasonClass::Delivered || (200..300).contains(&status));
        prop_assert!(class != crate::api::ReasonClass::Refused || (200..300).contains(&status) || (400..500).contains(&status));
    }
}

#[test]
fn a_refused_token_is_distinguished_from_a_wrong_clock_and_other_errors() {
    let answer_to = |status: u16, code: &str, text: &str| {
        let body = format!(r#"{{"error_code":"{code}","error_msg":"{text}"}}"#);
        let far = Some("Tue, 01 Jan 2019 00:00:00 GMT".to_owned());
        let request = RequestKind { with_token: true, only_read: false };
        classify_as(request, &Reply { date: far, ..reply(status, &body) }, &["canary"], now())
    };
    for (status, code, text) in [
        (401, "APIGW.0307", "The token must be updated"),
        (401, "APIG.0307", "canary"),
        (403, "APIGW.0307", "The token must be updated"),
        (401, "APIGW.0301", "decrypt token fail"),
        (401, "APIGW.0301", "signature expired"),
    ] {
        let answer = answer_to(status, code, text);
        assert_eq!(answer.key_effect, KeyEffect::TokenRefused, "{status} {code}");
        assert!(answer.message.contains("refused the token"), "{}", answer.message);
        assert!(!answer.message.contains("canary") && answer.reason != Reason::ClockSkew);
    }
    for (status, code, effect) in [
        (401, "DWS.0047", KeyEffect::Good),
        (403, "DWS.5036", KeyEffect::Good),
        (403, "APIGW.0306", KeyEffect::Neutral),
        (500, "APIGW.0307", KeyEffect::Neutral),
        (200, "DWS.7023", KeyEffect::Good),
    ] {
        assert_eq!(answer_to(status, code, "x").key_effect, effect, "{status} {code}");
    }
    assert_eq!(answer_to(200, "DWS.0000", "").key_effect, KeyEffect::Good);
    assert_eq!(
        answer_to(401, "DWS.00", "x").key_effect,
        KeyEffect::Neutral,
        "the remains of a code of the service end no token"
    );
}
