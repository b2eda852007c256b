//! PURE: scans the bytes of a body, which may be damaged, for the values of the relevant keys. From JSON it returns all
//! of them, from anything else every value that arrived complete. This module must not interpret them.

use std::{collections::HashSet, ffi::CString};

/// Keys whose value is an error code.
pub const CODES: [&str; 4] = ["error_code", "errCode", "errorCode", "code"];
/// Keys whose value is a text for people, the most informative first.
pub const TEXTS: [&str; 3] = ["error_msg", "externalMessage", "message"];
/// The other relevant keys.
const OTHERS: [&str; 3] = ["request_id", "success", "errors"];

/// The value of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Value {
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
#[derive(Debug)]
pub struct Entry {
    /// Number of the object that holds it, in the order of their beginnings.
    pub object: usize,
    /// Number of objects and lists around it.
    pub depth: usize,
    pub key: String,
    pub value: Value,
}

/// An object or a list that has begun and not ended.
struct Open {
    is_list: bool,
    object: usize,
    depth: usize,
    /// For an object, the key whose value comes next; for a list, the key whose value it is.
    key: Option<String>,
    /// All keys so far.
    keys: HashSet<String>,
}

/// A scan, and its result.
#[derive(Default)]
pub struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    open: Vec<Open>,
    objects: usize,
    /// In the order of the body.
    pub entries: Vec<Entry>,
    /// The body ends inside an object, a list or a text.
    pub is_truncated: bool,
    /// An object holds a key twice.
    pub repeats_key: bool,
}

/// Scans a body. Without recursion: it may be nested as deep as it is long.
pub fn walk(bytes: &[u8]) -> Walk<'_> {
    let mut walk = Walk { bytes, ..Walk::default() };
    while let Some(&byte) = bytes.get(walk.at) {
        match byte {
            b'"' => walk.text(),
            b'{' | b'[' => walk.begin(byte == b'['),
            b'}' | b']' => {
                walk.at += 1;
                drop(walk.open.pop());
            }
            b',' => {
                walk.at += 1;
                if let Some(open) = walk.open.last_mut().filter(|open| !open.is_list) {
                    open.key = None;
                }
            }
            byte if byte == b':' || byte.is_ascii_whitespace() => walk.at += 1,
            _ => walk.bare(),
        }
    }
    walk.is_truncated |= !walk.open.is_empty();
    walk
}

impl Walk<'_> {
    fn text(&mut self) {
        let Some(end) = end_of_text(self.bytes, self.at) else {
            // The rest of an incomplete text could have changed its meaning.
            self.is_truncated = true;
            self.at = self.bytes.len();
            return;
        };
        let text = decoded(self.bytes, self.at, end);
        self.at = end;
        let is_key = self.bytes.get(after_blanks(self.bytes, end)) == Some(&b':');
        match self.open.last_mut() {
            Some(open) if is_key && !open.is_list => {
                self.repeats_key |= !open.keys.insert(text.clone());
                open.key = Some(text);
            }
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
        let outer = self.open.last();
        let key = outer.filter(|outer| is_list && !outer.is_list).and_then(|outer| outer.key.clone());
        let owner = outer.map_or(0, |outer| outer.object);
        self.value(if is_empty { Value::Empty } else { Value::Members });
        self.objects += usize::from(!is_list);
        let object = if is_list { owner } else { self.objects };
        let depth = self.open.len() + usize::from(!is_list);
        self.open.push(Open { is_list, object, depth, key, keys: HashSet::new() });
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
            self.entries.push(Entry { object, depth, key, value });
        }
    }
}

/// The texts at the keys of codes anywhere in the bytes, also where damage hides which text is a key.
pub fn codes_anywhere(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'"') {
        let Some(mut next) = CODES.iter().find_map(|key| after_key(bytes, at, key)) else { continue };
        let is_list = bytes.get(next) == Some(&b'[');
        if is_list {
            next = after_blanks(bytes, next + 1);
        }
        while bytes.get(next) == Some(&b'"')
            && let Some(end) = end_of_text(bytes, next)
        {
            found.push(decoded(bytes, next, end));
            next = after_blanks(bytes, end);
            if !is_list || bytes.get(next) != Some(&b',') {
                break;
            }
            next = after_blanks(bytes, next + 1);
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

/// Decodes the text in quotes at `at`. The JSON library reads bytes (here as a C string) more leniently than text: control
/// characters, half a surrogate pair and invalid UTF-8 become replacement characters.
fn decoded(bytes: &[u8], at: usize, end: usize) -> String {
    let quoted = bytes.get(at..end).unwrap_or_default();
    serde_json::from_slice(quoted).unwrap_or_else(|_| {
        let lenient = serde_json::from_slice::<CString>(quoted).unwrap_or_else(|_| c"\u{fffd}".to_owned());
        lenient.to_string_lossy().into_owned()
    })
}
