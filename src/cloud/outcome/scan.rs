//! PURE: scans the bytes of a body, which may be damaged, for the values of the relevant keys. From JSON it returns all
//! of them, from anything else every value that arrived complete. This module must not interpret them.

use std::collections::HashSet;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Keys whose value is an error code.
pub const CODES: [&str; 4] = ["error_code", "errCode", "errorCode", "code"];
/// Keys whose value is a text for people, the most informative first.
pub const TEXTS: [&str; 3] = ["error_msg", "externalMessage", "message"];
/// The other relevant keys.
const OTHERS: [&str; 3] = ["request_id", "success", "errors"];

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A text that is an element of the list at the key.
    Element(String),
    /// Any other value without members, as it is written: `7`, `true`, `null`.
    Bare(String),
    /// An object or a list without members.
    Empty,
    /// An object or a list with members.
    Members,
}

/// A relevant key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number of the object that holds it, in the order of their beginnings.
    pub object: usize,
    /// Number of objects and lists around it.
    pub depth: usize,
    pub key: String,
    pub value: Value,
}

/// The result of a scan.
#[derive(Debug, Default)]
pub struct Walk {
    /// In the order of the body.
    pub entries: Vec<Entry>,
    /// The body ends inside an object, a list or a text.
    pub is_truncated: bool,
}

/// An object or a list that has begun and not ended.
struct Open {
    is_list: bool,
    object: usize,
    depth: usize,
    /// For an object, the key whose value comes next; for a list, the key whose value it is.
    key: Option<String>,
}

struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
    open: Vec<Open>,
    objects: usize,
    walk: Walk,
}

/// Scans a body. Without recursion: it may be nested as deep as it is long.
pub fn walk(bytes: &[u8]) -> Walk {
    let mut walker = Walker { bytes, at: 0, open: Vec::new(), objects: 0, walk: Walk::default() };
    while let Some(&byte) = bytes.get(walker.at) {
        match byte {
            b'"' => walker.text(),
            b'{' | b'[' => walker.begin(byte == b'['),
            b'}' | b']' => {
                walker.at += 1;
                drop(walker.open.pop());
            }
            b',' => {
                walker.at += 1;
                if let Some(open) = walker.open.last_mut().filter(|open| !open.is_list) {
                    open.key = None;
                }
            }
            byte if byte == b':' || byte.is_ascii_whitespace() => walker.at += 1,
            _ => walker.bare(),
        }
    }
    walker.walk.is_truncated |= !walker.open.is_empty();
    walker.walk
}

impl Walker<'_> {
    fn text(&mut self) {
        let Some(end) = end_of_text(self.bytes, self.at) else {
            // The rest of an incomplete text could have changed its meaning.
            self.walk.is_truncated = true;
            self.at = self.bytes.len();
            return;
        };
        let text = decoded(self.bytes.get(self.at..end).unwrap_or_default());
        self.at = end;
        let is_key = self.bytes.get(after_blanks(self.bytes, end)) == Some(&b':');
        match self.open.last_mut() {
            Some(open) if is_key && !open.is_list => open.key = Some(text),
            _ => self.value(Value::Text(text)),
        }
    }

    fn bare(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| b",:{}[]\"".contains(byte) || byte.is_ascii_whitespace());
        let word = rest.get(..length.unwrap_or(rest.len()).max(1)).unwrap_or_default();
        self.at += word.len().max(1);
        self.value(Value::Bare(String::from_utf8_lossy(word).into_owned()));
    }

    fn begin(&mut self, is_list: bool) {
        self.at += 1;
        let next = self.bytes.get(after_blanks(self.bytes, self.at));
        let is_empty = next == Some(if is_list { &b']' } else { &b'}' });
        let key = self.open.last().filter(|open| !open.is_list).and_then(|open| open.key.clone());
        let owner = self.open.last().map_or(0, |open| open.object);
        self.value(if is_empty { Value::Empty } else { Value::Members });
        if !is_list {
            self.objects += 1;
        }
        let object = if is_list { owner } else { self.objects };
        let depth = self.open.len() + usize::from(!is_list);
        self.open.push(Open { is_list, object, depth, key: key.filter(|_| is_list) });
    }

    fn value(&mut self, value: Value) {
        let Some(open) = self.open.last_mut() else { return };
        let (key, value) = match (open.is_list, value) {
            (false, value) => (open.key.take(), value),
            (true, Value::Text(text)) => (open.key.clone(), Value::Element(text)),
            (true, _) => return,
        };
        let (object, depth) = (open.object, open.depth);
        let is_relevant = |key: &String| [&CODES[..], &TEXTS, &OTHERS].concat().contains(&key.as_str());
        if let Some(key) = key.filter(is_relevant) {
            self.walk.entries.push(Entry { object, depth, key, value });
        }
    }
}

/// The texts at the keys of codes anywhere in the bytes, also where damage hides which text is a key.
pub fn codes_anywhere(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'"') {
        let Some(mut after) = CODES.iter().find_map(|key| after_key(bytes, at, key)) else { continue };
        let is_list = bytes.get(after) == Some(&b'[');
        if is_list {
            after = after_blanks(bytes, after + 1);
        }
        while bytes.get(after) == Some(&b'"')
            && let Some(end) = end_of_text(bytes, after)
        {
            found.push(decoded(bytes.get(after..end).unwrap_or_default()));
            after = after_blanks(bytes, end);
            if !is_list || bytes.get(after) != Some(&b',') {
                break;
            }
            after = after_blanks(bytes, after + 1);
        }
    }
    found
}

/// The position of the value, if this key in quotes and a colon are at `at`.
fn after_key(bytes: &[u8], at: usize, key: &str) -> Option<usize> {
    let rest = bytes.get(at + 1..)?.strip_prefix(key.as_bytes())?.strip_prefix(b"\"")?;
    let colon = after_blanks(bytes, bytes.len() - rest.len());
    (bytes.get(colon) == Some(&b':')).then(|| after_blanks(bytes, colon + 1))
}

fn after_blanks(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// The position after the closing quote of the text that begins at `at`.
fn end_of_text(bytes: &[u8], at: usize) -> Option<usize> {
    let mut next = at + 1;
    loop {
        match bytes.get(next)? {
            b'\\' => next += 2,
            b'"' => return Some(next + 1),
            _ => next += 1,
        }
    }
}

/// Decodes a text in quotes; a part that cannot be decoded becomes a replacement character.
fn decoded(quoted: &[u8]) -> String {
    if let Ok(text) = serde_json::from_slice::<String>(quoted) {
        return text;
    }
    let inner = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(quoted);
    let mut units = Vec::new();
    let text = String::from_utf8_lossy(inner);
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let escaped = if character == '\\' { rest.next() } else { None };
        let character = match escaped {
            None => character,
            Some('u') => {
                let digits = rest.as_str().get(..4);
                if let Some(unit) = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
                    units.push(unit);
                    rest = rest.as_str().get(4..).unwrap_or_default().chars();
                    continue;
                }
                char::REPLACEMENT_CHARACTER
            }
            Some('b' | 'f' | 'n' | 'r' | 't') => ' ',
            Some(other) => other,
        };
        units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16_lossy(&units)
}

/// Whether the bytes are one JSON object, and no object in it holds a key twice.
pub fn is_plain_object(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'{') && serde_json::from_slice::<Plain>(bytes).is_ok()
}

/// A value in which no object holds a key twice.
struct Plain;

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Plain)
    }
}

impl<'de> Visitor<'de> for Plain {
    type Value = Self;

    fn expecting(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        text.write_str("a value in which no object holds a key twice")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Plain>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self, A::Error> {
        let mut keys = HashSet::new();
        while let Some((key, Plain)) = object.next_entry::<String, Plain>()? {
            if !keys.insert(key) {
                return Err(A::Error::custom("a key twice"));
            }
        }
        Ok(self)
    }
}
