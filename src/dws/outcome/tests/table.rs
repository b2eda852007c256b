//! The table of answers, all of it: each status with each code, key, place of the code, kind of damage and end of the body, held
//! against the table as it is written in the design and not as the code reads it.

use super::*;
use crate::resource::Row;

const KEYS: [&str; 4] = ["error_code", "errCode", "errorCode", "code"];

/// Where a code can stand, how it can be damaged, and whether what is left is JSON.
fn bodies(key: &str, code: &str) -> Vec<(String, bool)> {
    let text = "a DWS.7023 b";
    let base64 = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    let plain = format!(r#"{{"{key}":"{code}","error_msg":"{text}"}}"#);
    vec![
        (plain.clone(), true),
        (format!(r#"{{"{key}":["x","{code}"],"message":"{text}"}}"#), true),
        (format!(r#"{{"data":{{"{key}":"{code}","externalMessage":"{text}"}}}}"#), true),
        (format!(r#"[[{{"a":{{"{key}":"{code}","error_msg":"{text}"}}}}]]"#), true),
        (format!(r#"{{"a":{plain},"b":{plain}}}"#), true),
        (format!(" \n{plain}\n"), true),
        (format!("{plain}{plain}"), false),
        (format!("{plain},"), false),
        (format!(r#"{{"error_msg":"{text}","{key}" : "{code}""#), false),
        (format!(r#"{{"x":NaN,"{key}":"{code}","error_msg":"{text}"}}"#), false),
        (base64(&plain), false),
    ]
}

fn ends(bytes: &[u8]) -> [Body; 3] {
    [Body::Complete(bytes.to_vec()), Body::Broken(bytes.to_vec()), Body::TooLarge(bytes.to_vec())]
}

fn statuses() -> impl Iterator<Item = u16> {
    (100..=101)
        .chain(200..=206)
        .chain(300..=308)
        .chain(400..=431)
        .chain([451, 499, 500, 501, 502, 503, 504, 599, 600, 999])
}

fn of(status: u16, body: Body) -> Answer {
    classify(&Reply { body, ..reply(status, "") }, &[], now())
}

/// The row of conditions that the table gives, for a code that was found in the body.
fn expected(status: u16, proves: bool) -> Row {
    match status {
        200..=299 | 400..=499 if proves => Row::Refused,
        _ => Row::Unknown,
    }
}

#[test]
fn a_code_decides_a_2xx_and_a_4xx_whatever_is_left_of_the_body() {
    for (code, proves) in [
        ("DWS.7023", true),
        ("DWS.0047", true),
        ("DWS.5038", true),
        ("DWS.12345678", true),
        ("APIGW.0301", true),
        ("APIG.0201", true),
        ("ab.0001", true),
        ("DWS.0005", false),
        ("DWS.9999", true), // its text holds another
    ] {
        for key in KEYS {
            for (body, _) in bodies(key, code) {
                for status in statuses() {
                    for end in ends(body.as_bytes()) {
                        let answer = of(status, end);
                        assert_eq!(answer.reason.row(), expected(status, proves), "{status} {body}");
                        assert_eq!(answer.error_code.as_deref(), Some(code), "{status} {body}");
                        assert_eq!(answer.reason == Reason::ServerError, status >= 500, "{status} {body}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_no_code_refuses_no_2xx_and_names_no_4xx() {
    for word in
        ["DWS.702", "DWS.702345678", "D.7023", "ABCDEFGHIJK.7023", "DWS7023", "DWS-7023", "DWS.70A3", "x DWS.7023"]
    {
        for key in KEYS {
            for (body, is_json) in bodies(key, word) {
                for status in statuses() {
                    let answer = of(status, Body::Complete(body.clone().into_bytes()));
                    let is_read = is_json || !body.starts_with('{') || body.ends_with('}') || body.ends_with(',');
                    let row = match status {
                        401 | 429 => Row::Refused,
                        408 => Row::Unknown,
                        400..=499 if is_read => Row::Refused,
                        _ => Row::Unknown,
                    };
                    assert_eq!(answer.reason.row(), row, "{status} {body}");
                    assert_ne!(answer.error_code.as_deref(), Some("DWS.7023"), "{status} {body}");
                }
            }
        }
    }
}

#[test]
fn several_different_codes_leave_a_2xx_unknown_and_refuse_a_4xx_by_the_outermost_first_one() {
    for (body, code, reason) in [
        (r#"{"error_code":"DWS.7023","errCode":"DWS.0047"}"#, "DWS.7023", Reason::ClusterNotReady),
        (r#"{"a":{"code":"DWS.0047"},"error_code":"DWS.7023"}"#, "DWS.7023", Reason::ClusterNotReady),
        (r#"{"error_code":["DWS.7023","DWS.0047"]}"#, "DWS.7023", Reason::ClusterNotReady),
        (r#"{"error_code":"DWS.7023","error_code":"DWS.0047"}"#, "DWS.7023", Reason::ClusterNotReady),
        (r#"{"error_code":"DWS.7023"} {"error_code":"DWS.9999"}"#, "DWS.7023", Reason::ClusterNotReady),
        (r#"{"a":{"code":"DWS.0047"},"error_code":"DWS.7023","#, "DWS.7023", Reason::ClusterNotReady),
        (r#"{"error_code":"DWS.9999","a":{"code":"DWS.7023"}}"#, "DWS.9999", Reason::OutcomeUnknown),
        (r#"{"error_code":"DWS.0005","a":{"code":"DWS.7023"}}"#, "DWS.0005", Reason::OutcomeUnknown),
    ] {
        for end in ends(body.as_bytes()) {
            assert_eq!(of(200, end.clone()).reason, Reason::OutcomeUnknown, "{body}");
            let refused = of(403, end);
            assert_eq!((refused.error_code.as_deref(), refused.reason), (Some(code), reason), "{body}");
        }
    }
    let both = r#"{"error_code":"APIGW.0301","a":{"code":"DWS.0047"}}"#;
    assert_eq!(read(401, both).key_effect, KeyEffect::Neutral, "the service has spoken");
}

#[test]
fn the_catch_all_means_the_one_code_that_its_own_text_names() {
    for (text, reason) in [
        ("failed: DWS.7023.", Reason::ClusterNotReady),
        ("DWS.9999: (DWS.7023) and once more DWS.7023", Reason::ClusterNotReady),
        ("错误DWS.0047", Reason::ClusterNotFound),
        ("DWS.70231", Reason::Rejected),
        ("", Reason::OutcomeUnknown),
        ("DWS.9999", Reason::OutcomeUnknown),
        ("DWS.0000", Reason::OutcomeUnknown),
        ("DWS.0005", Reason::OutcomeUnknown),
        ("XDWS.7023", Reason::OutcomeUnknown),
        ("DWS.7023x", Reason::OutcomeUnknown),
        ("DWS.7023 or DWS.0047", Reason::OutcomeUnknown),
        ("version.2026", Reason::OutcomeUnknown),
    ] {
        for status in [200, 402] {
            assert_eq!(read(status, &fault("DWS.9999", text)).reason, reason, "{status} {text}");
        }
    }
    let elsewhere = r#"{"error_msg":"DWS.7023","a":{"error_code":"DWS.9999"}}"#;
    assert_eq!(read(403, elsewhere).reason, Reason::OutcomeUnknown, "that text is of something else");
    let cut = of(403, Body::Broken(br#"{"error_code":"DWS.9999","error_msg":"failed: DWS.7023"#.to_vec()));
    assert_eq!(cut.reason, Reason::OutcomeUnknown, "the text may have gone on");
}

#[test]
fn without_a_code_only_a_4xx_that_was_read_whole_is_refused_by_its_status() {
    for body in ["", "{}", "[]", "<html>", "no", r#"{"error_code":7023}"#, r#"{"error_code":"DWS.0000"}"#, "\u{feff}{}"]
    {
        for (number, end) in ends(body.as_bytes()).into_iter().enumerate() {
            for status in 400..=499 {
                let row = match status {
                    401 | 429 => Row::Refused,
                    408 => Row::Unknown,
                    _ if number == 0 => Row::Refused,
                    _ => Row::Unknown,
                };
                assert_eq!(of(status, end.clone()).reason.row(), row, "{status} {body} {number}");
            }
        }
    }
    for (encoding, reason) in [(Some("br"), Reason::OutcomeUnknown), (Some("identity"), Reason::PermissionDenied)] {
        let encoded = Reply { encoding: encoding.map(str::to_owned), ..reply(403, "x") };
        assert_eq!(classify(&encoded, &[], now()).reason, reason, "{encoding:?}");
    }
}
