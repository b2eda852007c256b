//! PURE: reads a body, however damaged: error codes, the text beside them, and whether it reports success. It must not
//! classify an answer.

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::scan::{CODES, Entry, TEXTS, Value, decoded, walk};

/// The code that reports success.
const NO_ERROR: &str = "DWS.0000";

#[derive(Default)]
pub struct Contents {
    /// The bytes without what wraps them.
    text: Vec<u8>,
    /// The values of the relevant keys.
    entries: Vec<Entry>,
    /// All error codes, by depth and then by position.
    codes: Vec<Code>,
    /// Empty, or one JSON object that holds no key twice.
    is_plain: bool,
    /// It is JSON that ends in the middle.
    pub is_truncated: bool,
    /// A text in it holds a code, as if it quoted another body.
    hides_code: bool,
}

/// An error code, and its position if damage does not hide that.
struct Code {
    text: String,
    depth: usize,
    object: Option<usize>,
}

/// Reads the bytes of a body, or the part of it that arrived.
pub fn read(bytes: &[u8]) -> Contents {
    let bytes = trimmed(bytes);
    let decoded = base64_decoded(bytes);
    // Without its zeros, a text in UTF-16 is readable.
    let text: Vec<u8> = decoded.as_deref().unwrap_or(bytes).iter().copied().filter(|byte| *byte != 0).collect();
    let walk = walk(&text);
    let is_object = || bytes.starts_with(b"{") && serde_json::from_slice::<serde_json::Value>(bytes).is_ok();
    let is_plain = decoded.is_none() && (bytes.is_empty() || (is_object() && !walk.repeats_key));
    let mut codes: Vec<_> = walk.entries.iter().filter_map(code_at).collect();
    // A stable sort: codes of the same depth keep the order of the body.
    codes.sort_by_key(|code| code.depth);
    if !is_plain {
        let anywhere = codes_anywhere(&text).into_iter();
        codes.extend(anywhere.map(|text| Code { text, depth: usize::MAX, object: None }));
    }
    let unescaped: Vec<u8> = text.iter().copied().filter(|byte| *byte != b'\\').collect();
    Contents {
        hides_code: is_plain && !codes_anywhere(&unescaped).is_empty(),
        is_truncated: walk.is_truncated && text.first().is_some_and(|first| b"{[".contains(first)),
        entries: walk.entries,
        is_plain,
        codes,
        text,
    }
}

impl Contents {
    /// The error code: of several different codes the first one at the lowest depth.
    pub fn code(&self) -> Option<&str> {
        self.codes.first().map(|code| code.text.as_str())
    }

    pub fn has_different_codes(&self) -> bool {
        self.codes.iter().any(|code| Some(code.text.as_str()) != self.code())
    }

    /// The code of the answer itself, not of a resource that it shows.
    pub fn own_code(&self) -> Option<&str> {
        let first = self.codes.first().filter(|code| self.is_plain && code.depth == 1);
        first.map(|code| code.text.as_str())
    }

    /// The code, or another name of an error in its place. For display only.
    pub fn shown_code(&self) -> Option<&str> {
        let named = || self.entries.iter().filter(|entry| is_code_key(entry)).find_map(|entry| name(&entry.value));
        // With a 4xx it shows that the answer was read whole.
        self.code().or_else(|| named().filter(|_| self.is_plain))
    }

    /// The text beside the code; without a code the text at the lowest depth.
    pub fn text(&self) -> Option<&str> {
        let object_of_code = self.codes.first().map(|code| code.object);
        self.first(&TEXTS, |entry| object_of_code.is_none_or(|object| object == Some(entry.object)))
    }

    pub fn request_id(&self) -> Option<&str> {
        self.first(&["request_id"], |_| true)
    }

    /// The text at the lowest depth, there of the first of these keys.
    fn first(&self, keys: &[&str], is_candidate: impl Fn(&Entry) -> bool) -> Option<&str> {
        let texts = self.entries.iter().filter(|entry| is_candidate(entry)).filter_map(|entry| {
            let Value::Text(text) = &entry.value else { return None };
            let rank = keys.iter().position(|key| *key == entry.key)?;
            Some(((entry.depth, rank), text.trim())).filter(|(_, text)| !text.is_empty())
        });
        texts.min_by_key(|(order, _)| *order).map(|(_, text)| text)
    }

    /// It is UTF-8: no unknown encoding hides a part of it.
    pub fn is_text(&self) -> bool {
        std::str::from_utf8(&self.text).is_ok()
    }

    /// It holds a code of DWS, or the remains of one.
    pub fn mentions_service(&self) -> bool {
        let has_remains = || self.codes.is_empty() && self.text.windows(4).any(|window| window == b"DWS.");
        self.codes.iter().any(|code| code.text.starts_with("DWS.")) || has_remains()
    }

    /// The body of a call's answer with this 2xx reports success: it is empty, or an object without any sign of a failure
    /// at any depth.
    pub fn is_success(&self, status: u16) -> bool {
        let is_without_code = self.is_plain && self.codes.is_empty() && !self.hides_code;
        is_without_code && self.entries.iter().all(|entry| !reports_failure(entry, status))
    }

    /// The same for the answer to a read: the cluster that it shows may hold codes and texts of its own failures.
    pub fn is_shown(&self, status: u16) -> bool {
        let mut of_answer = self.entries.iter().filter(|entry| entry.depth == 1 && entry.key != TEXTS[0]);
        self.is_plain && of_answer.all(|entry| !reports_failure(entry, status))
    }
}

/// The codes at their keys anywhere in the bytes, also where damage hides which text is a key.
fn codes_anywhere(bytes: &[u8]) -> Vec<String> {
    let parts = bytes.split(|byte| *byte == b'"').map(|part| std::str::from_utf8(part).unwrap_or_default());
    let parts: Vec<_> = parts.collect();
    let between = |at: usize| parts.get(at).map(|part| part.split_ascii_whitespace().collect::<String>());
    let mut found = Vec::new();
    for (at, _) in parts.iter().enumerate().skip(1).filter(|(_, part)| CODES.contains(part)) {
        let after_key = between(at + 1).unwrap_or_default();
        let mut value = at + 2;
        // Only what is followed by its closing quote has arrived complete.
        while (after_key == ":" || after_key == ":[") && value + 1 < parts.len() {
            let text = parts.get(value).filter(|text| !text.ends_with('\\'));
            let text = text.map(|text| decoded(format!("\"{text}\"").as_bytes()));
            found.extend(text.as_deref().and_then(code).map(str::to_owned));
            if after_key == ":" || between(value + 1).as_deref() != Some(",") {
                break;
            }
            value += 2;
        }
    }
    found
}

/// The text without the blanks around it, if it is an error code.
pub fn code(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_service = service(text)?.bytes().all(|byte| byte.is_ascii_alphabetic());
    (is_service && !text.eq_ignore_ascii_case(NO_ERROR)).then_some(text)
}

/// The part before the dot of a text that has the form of a code.
fn service(text: &str) -> Option<&str> {
    let (service, number) = text.split_once('.')?;
    let is_number = (4..=8).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && (2..=10).contains(&service.len())).then_some(service)
}

/// The only code of DWS in a text, as in the text of the catch-all `DWS.9999`.
pub fn inner_code<'a>(text: &'a str, outer: &str) -> Option<&'a str> {
    let words = text.split(|character: char| !(character.is_ascii_alphanumeric() || "._".contains(character)));
    let words = words.map(|word| word.trim_matches('.')).filter(|word| word.starts_with("DWS.") && *word != outer);
    let mut codes = words.filter_map(code);
    let first = codes.next()?;
    codes.all(|other| other == first).then_some(first)
}

fn code_at(entry: &Entry) -> Option<Code> {
    match &entry.value {
        Value::Text(text) | Value::Element(text) if is_code_key(entry) => {
            Some(Code { text: code(text)?.to_owned(), depth: entry.depth, object: Some(entry.object) })
        }
        _ => None,
    }
}

fn is_code_key(entry: &Entry) -> bool {
    CODES.contains(&entry.key.as_str())
}

/// A code such as `PAP5.0001` of the new IAM. Never one that looks like the service's own.
fn name(value: &Value) -> Option<&str> {
    let Value::Text(text) = value else { return None };
    let service = service(text)?;
    (service != "DWS" && service.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(text)
}

/// Whether a key reports a failure, so that the body of a 2xx must not hold it.
fn reports_failure(entry: &Entry, status: u16) -> bool {
    let (word, is_nothing) = match &entry.value {
        Value::Text(text) => (text.trim(), text.trim().is_empty()),
        Value::Bare(word) => (word.as_str(), word == "null"),
        Value::Empty => ("", true),
        Value::Element(_) | Value::Members => ("", false),
    };
    match entry.key.as_str() {
        "success" => word == "0" || word.eq_ignore_ascii_case("false"),
        "error_msg" | "errors" => !is_nothing,
        key if CODES.contains(&key) => {
            let is_status = key == "code" && word == status.to_string();
            let is_good = word == NO_ERROR || ["0", "OK", "SUCCESS"].iter().any(|good| word.eq_ignore_ascii_case(good));
            !(is_status || is_good || (is_nothing && entry.value != Value::Empty))
        }
        _ => false,
    }
}

/// Removes white space, and the byte order mark that some servers put before JSON.
fn trimmed(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.trim_ascii();
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii()
}

/// Decodes a body in base64, also if it ends in the middle.
fn base64_decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    let quoted = serde_json::from_slice::<String>(bytes);
    let text = quoted.as_deref().or_else(|_| std::str::from_utf8(bytes)).ok()?;
    // Encoders fold long lines.
    let text: String = text.split_ascii_whitespace().collect();
    let text = text.trim_matches('"').trim_end_matches('=');
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    // A single character of the last group of four holds no byte.
    let whole = text.get(..text.len() - usize::from(text.len() % 4 == 1))?;
    let decode = |alphabet| GeneralPurpose::new(alphabet, lenient).decode(whole).ok();
    decode(&STANDARD).or_else(|| decode(&URL_SAFE)).filter(|decoded| !decoded.is_empty())
}
