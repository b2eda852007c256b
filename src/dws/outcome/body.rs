//! PURE: finds the error code and text in a body, in any of the shapes the cloud is known to use.

use base64::{Engine, engine::general_purpose};
use serde_json::Value;

/// What a body says went wrong; all absent in the body of a success.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// `error_code`, `errCode`, `code`, in this order; strings only, since a number there repeats the HTTP status.
    pub code: Option<String>,
    /// The text beside it.
    pub text: Option<String>,
    /// `request_id`.
    pub request_id: Option<String>,
}

/// Reads a body. What is no JSON object, also after unwrapping base64, says nothing.
pub fn fault(bytes: &[u8]) -> Fault {
    let Some(object) = object(bytes) else { return Fault::default() };
    let nested = object.get("error").filter(|error| error.is_object());
    let find = |keys: &[&str]| {
        let places = [Some(&object), nested];
        places.into_iter().flatten().find_map(|place| keys.iter().find_map(|key| text(place, key)))
    };
    Fault {
        code: find(&["error_code", "errCode", "code"]),
        text: find(&["error_msg", "externalMessage", "message"]),
        request_id: find(&["request_id"]),
    }
}

fn text(place: &Value, key: &str) -> Option<String> {
    place.get(key)?.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn object(bytes: &[u8]) -> Option<Value> {
    // Some servers put a byte order mark before JSON; a refusal behind it must not pass for a success.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let plain = || serde_json::from_slice::<Value>(bytes).ok().filter(Value::is_object);
    let wrapped = || {
        // Encoders fold long lines.
        let text: String = std::str::from_utf8(bytes).ok()?.split_ascii_whitespace().collect();
        let text = text.trim_matches('"').trim_end_matches('=');
        let engines = [general_purpose::STANDARD_NO_PAD, general_purpose::URL_SAFE_NO_PAD];
        let decoded = engines.iter().find_map(|engine| engine.decode(text).ok())?;
        serde_json::from_slice::<Value>(&decoded).ok().filter(Value::is_object)
    };
    plain().or_else(wrapped)
}
