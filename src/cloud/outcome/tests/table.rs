//! The whole table of answers: each status with each code, key, position of the code, kind of damage and end of the body,
//! compared with the table as the design defines it and not as the code implements it.

use super::*;
use crate::api::ReasonClass;

const KEYS: [&str; 4] = ["error_code", "errCode", "errorCode", "code"];

/// Bodies with the code at each position and with each kind of damage, and whether the result is JSON.
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

fn answer(status: u16, body: Body) -> Answer {
    classify(&Reply { body, ..reply(status, "") }, &[], now())
}

/// The class that the table defines for a status with a code in the body.
fn expected(status: u16, proves: bool) -> ReasonClass {
    match status {
        200..=299 | 400..=499 if proves => ReasonClass::Refused,
        _ => ReasonClass::Unknown,
    }
}

#[test]
fn a_code_decides_a_2xx_and_a_4xx_in_any_damaged_body() {
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
                        let answer = answer(status, end);
                        assert_eq!(answer.reason.class(), expected(status, proves), "{status} {body}");
                        assert_eq!(answer.error_code.as_deref(), Some(code), "{status} {body}");
                        assert_eq!(answer.reason == Reason::ServerError, status >= 500, "{status} {body}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_malformed_code_refuses_no_2xx_and_is_not_reported() {
    for word in
        ["DWS.702", "DWS.702345678", "D.7023", "ABCDEFGHIJK.7023", "DWS7023", "DWS-7023", "DWS.70A3", "x DWS.7023"]
    {
        for key in KEYS {
            for (body, is_json) in bodies(key, word) {
                for status in statuses() {
                    let answer = answer(status, Body::Complete(body.clone().into_bytes()));
                    let is_read = is_json || !body.starts_with('{') || body.ends_with('}') || body.ends_with(',');
                    let class = match status {
                        401 | 429 => ReasonClass::Refused,
                        408 => ReasonClass::Unknown,
                        400..=499 if is_read => ReasonClass::Refused,
                        _ => ReasonClass::Unknown,
                    };
                    assert_eq!(answer.reason.class(), class, "{status} {body}");
                    assert_ne!(answer.error_code.as_deref(), Some("DWS.7023"), "{status} {body}");
                }
            }
        }
    }
}

#[test]
fn several_codes_leave_a_2xx_unknown_and_refuse_a_4xx_by_the_outermost() {
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
            assert_eq!(answer(200, end.clone()).reason, Reason::OutcomeUnknown, "{body}");
            let refused = answer(403, end);
            assert_eq!((refused.error_code.as_deref(), refused.reason), (Some(code), reason), "{body}");
        }
    }
    let both = r#"{"error_code":"APIGW.0301","a":{"code":"DWS.0047"}}"#;
    assert_eq!(read(401, both).key_effect, KeyEffect::Neutral, "the service has answered");
}

#[test]
fn the_catch_all_means_the_only_code_in_its_own_text() {
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
    assert_eq!(read(403, elsewhere).reason, Reason::OutcomeUnknown, "that text belongs to another object");
    let truncated = answer(403, Body::Broken(br#"{"error_code":"DWS.9999","error_msg":"failed: DWS.7023"#.to_vec()));
    assert_eq!(truncated.reason, Reason::OutcomeUnknown, "the text may have continued");
}

#[test]
fn a_4xx_without_a_code_is_refused_only_if_it_was_read_whole() {
    for body in ["", "{}", "[]", "<html>", "no", r#"{"error_code":7023}"#, r#"{"error_code":"DWS.0000"}"#, "\u{feff}{}"]
    {
        for (number, end) in ends(body.as_bytes()).into_iter().enumerate() {
            for status in 400..=499 {
                let class = match status {
                    401 | 429 => ReasonClass::Refused,
                    408 => ReasonClass::Unknown,
                    _ if number == 0 => ReasonClass::Refused,
                    _ => ReasonClass::Unknown,
                };
                assert_eq!(answer(status, end.clone()).reason.class(), class, "{status} {body} {number}");
            }
        }
    }
    for (encoding, reason) in [(Some("br"), Reason::OutcomeUnknown), (Some("identity"), Reason::PermissionDenied)] {
        let encoded = Reply { encoding: encoding.map(str::to_owned), ..reply(403, "x") };
        assert_eq!(classify(&encoded, &[], now()).reason, reason, "{encoding:?}");
    }
}

const WORDS: [&str; 9] = ["DWS.7023", "DWS.0047", "DWS.0005", "APIGW.0301", "DWS.0000", "OK", "", "x", "200"];

/// JSON with codes and signs of a failure at any position.
fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::json;
    let leaf = prop_oneof![
        proptest::sample::select(&WORDS[..]).prop_map(|word| json!(word)),
        proptest::sample::select(vec![json!(null), json!(true), json!(false), json!(0), json!(200), json!(7023)]),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key =
            proptest::sample::select(vec!["error_code", "errCode", "code", "errors", "success", "error_msg", "a", "b"]);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::btree_map(key.prop_map(str::to_owned), inner, 0..4)
                .prop_map(|object| serde_json::Value::Object(object.into_iter().collect())),
        ]
    })
}

/// A body as the table defines it, by the parser of another crate: all codes with their depth, and whether it reports a
/// failure.
fn expected_of(value: &serde_json::Value, depth: usize, codes: &mut Vec<(usize, String)>) -> bool {
    use serde_json::Value;
    let is_code = |text: &str| ["DWS.7023", "DWS.0047", "DWS.0005", "APIGW.0301"].contains(&text);
    match value {
        Value::Array(list) => list.iter().fold(false, |fails, value| expected_of(value, depth + 1, codes) | fails),
        Value::Object(object) => object.iter().fold(false, |fails, (key, value)| {
            let is_key = KEYS.contains(&key.as_str());
            if is_key {
                let texts = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                let found = texts.iter().filter_map(Value::as_str).filter(|text| is_code(text));
                codes.extend(found.map(|code| (depth, code.to_owned())));
            }
            let is_nothing = matches!(value, Value::Null) || value == "";
            let fails_here = match key.as_str() {
                "success" => value == false || value == 0,
                "errors" | "error_msg" => {
                    let is_empty = value.as_array().is_some_and(Vec::is_empty)
                        || value.as_object().is_some_and(serde_json::Map::is_empty);
                    !is_nothing && !is_empty
                }
                "code" if value == 200 || value == "200" => false,
                _ if is_key => !(is_nothing || value == 0 || ["DWS.0000", "OK"].iter().any(|good| value == good)),
                _ => false,
            };
            expected_of(value, depth + 1, codes) | fails_here | fails
        }),
        _ => false,
    }
}

proptest! {
    #[test]
    fn any_json_is_classified_as_the_table_defines(value in json(), indented in any::<bool>()) {
        let mut codes = Vec::new();
        let fails = expected_of(&value, 0, &mut codes);
        let different: std::collections::BTreeSet<_> = codes.iter().map(|(_, code)| code.as_str()).collect();
        let text = if indented { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let (ok, no) = (read(200, &text), read(403, &text));
        let class = match different.len() {
            0 if value.is_object() && !fails => ReasonClass::Delivered,
            1 if !different.contains("DWS.0005") => ReasonClass::Refused,
            _ => ReasonClass::Unknown,
        };
        prop_assert_eq!(ok.reason.class(), class, "{}", text);
        let outermost = codes.iter().map(|(depth, _)| depth).min();
        let outermost: Vec<_> = codes.iter().filter(|(depth, _)| Some(depth) == outermost).map(|(_, code)| code.as_str()).collect();
        let named = no.error_code.as_deref();
        prop_assert!(named.map_or(outermost.is_empty(), |code| outermost.contains(&code)), "{:?} {}", named, text);
        let class = if named == Some("DWS.0005") { ReasonClass::Unknown } else { ReasonClass::Refused };
        prop_assert_eq!(no.reason.class(), class, "{}", text);
        prop_assert_eq!(read(401, &text).key_effect == KeyEffect::Good, named.is_some_and(|code| code.starts_with("DWS.")));
        prop_assert_eq!(read(500, &text).reason, Reason::ServerError);
        prop_assert_eq!(read(303, &text).reason, Reason::OutcomeUnknown);
    }

    #[test]
    fn truncated_json_is_never_read_as_more_than_arrived(value in json(), at in 0.0_f64..1.0) {
        let text = value.to_string();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of a length")]
        let piece = &text.as_bytes()[..(text.len() as f64 * at) as usize];
        let mut codes = Vec::new();
        expected_of(&value, 0, &mut codes);
        for body in [Body::Broken(piece.to_vec()), Body::TooLarge(piece.to_vec()), Body::Complete(piece.to_vec())] {
            let is_broken = !matches!(body, Body::Complete(_));
            let (ok, no) = (answer(200, body.clone()), answer(403, body));
            prop_assert!(ok.reason != Reason::Delivered || (piece.is_empty() && !is_broken), "{:?}", piece);
            for answer in [&ok, &no] {
                let code = answer.error_code.as_deref();
                prop_assert!(code.is_none_or(|code| codes.iter().any(|(_, known)| known == code)), "{:?}", code);
            }
            if is_broken && no.error_code.is_none() {
                prop_assert_eq!(no.reason, Reason::OutcomeUnknown);
            }
        }
    }
}
