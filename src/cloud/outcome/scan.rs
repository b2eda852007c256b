//! PURE: scans the bytes of a body, which may be damaged, for the values of the relevant keys. From JSON it returns all
//! of them, from anything else every value that arrived complete. This module must not interpret them.

use std::{collections::HashSet, ffi::CString};

/// Keys whose value is an error code.
pub const CODES: [&str; 4] = ["error_code", "errCode", "errorCode", "code"];
/// Keys whose value is a text for people, the most informative first.
pub const TEXTS: [&str; 3] = ["error_msg", "externalMessage", "message"];
/// The other relevant keys.
const OTHERS: [&str; 3] = ["request_id", "success", "errors"];

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
    keys: HashSet<String>,
}

#[derive(Default)]
pub struct Walk {
    pub entries: Vec<Entry>,
    /// The body ends inside an object, a list or a text.
    pub is_truncated: bool,
    /// An object holds a key twice.
    pub repeats_key: bool,
}

/// Scans a body. Without recursion: it may be nested as deep as it is long.
pub fn walk(bytes: &[u8]) -> Walk {
    let (tokens, is_cut) = tokens(bytes);
    let (mut walk, mut open, mut objects) = (Walk::default(), Vec::<Open>::new(), 0);
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let (holder, next) = (open.last_mut(), tokens.peek());
        let (begins_list, begins_object) = (token == Token::Mark(b'['), token == Token::Mark(b'{'));
        let value = match (token, holder) {
            (Token::Mark(b'{'), _) if next == Some(&Token::Mark(b'}')) => Value::Empty,
            (Token::Mark(b'['), _) if next == Some(&Token::Mark(b']')) => Value::Empty,
            (Token::Mark(b'{' | b'['), _) => Value::Members,
            (Token::Mark(b'}' | b']'), _) => {
                open.pop();
                continue;
            }
            (Token::Mark(b','), Some(holder)) if !holder.is_list => {
                holder.key = None;
                continue;
            }
            (Token::Mark(_), _) => continue,
            (Token::Text(text), Some(holder)) if !holder.is_list && next == Some(&Token::Mark(b':')) => {
                walk.repeats_key |= !holder.keys.insert(text.clone());
                holder.key = Some(text);
                continue;
            }
            (Token::Text(text), Some(holder)) if holder.is_list => Value::Element(text),
            (Token::Text(text), _) => Value::Text(text),
            (Token::Bare(word), _) => Value::Bare(word),
        };
        let depth = open.len() + usize::from(begins_object);
        let holder = open.last_mut();
        let in_list = holder.as_ref().is_some_and(|holder| holder.is_list);
        let (object, depth_of_key) = holder.as_ref().map_or((0, 0), |holder| (holder.object, holder.depth));
        let key = holder.and_then(|holder| if in_list { holder.key.clone() } else { holder.key.take() });
        if begins_list || begins_object {
            objects += usize::from(begins_object);
            open.push(Open {
                is_list: begins_list,
                object: if begins_list { object } else { objects },
                depth,
                key: key.clone().filter(|_| begins_list && !in_list),
                keys: HashSet::new(),
            });
        }
        let is_relevant = |key: &String| [&CODES[..], &TEXTS, &OTHERS].concat().contains(&key.as_str());
        if let Some(key) = key.filter(is_relevant)
            && (!in_list || matches!(value, Value::Element(_)))
        {
            walk.entries.push(Entry { object, depth: depth_of_key, key, value });
        }
    }
    walk.is_truncated = is_cut || !open.is_empty();
    walk
}

#[derive(PartialEq)]
enum Token {
    /// A text in quotes, decoded.
    Text(String),
    /// `{`, `}`, `[`, `]`, `:` or `,`.
    Mark(u8),
    Bare(String),
}

/// Splits a body. The second value: it ends inside a text, which is left out, since its rest could have changed its meaning.
fn tokens(bytes: &[u8]) -> (Vec<Token>, bool) {
    let (mut tokens, mut rest) = (Vec::new(), bytes);
    let is_mark = |byte: u8| b"{}[]:,".contains(&byte);
    let ends_word = |byte: &u8| is_mark(*byte) || *byte == b'"' || byte.is_ascii_whitespace();
    while let Some(&first) = rest.first() {
        let length = match first {
            b'"' => match end_of_text(rest) {
                Some(end) => end,
                None => return (tokens, true),
            },
            _ => rest.iter().position(ends_word).unwrap_or(rest.len()).max(1),
        };
        let (part, after) = rest.split_at(length);
        match first {
            b'"' => tokens.push(Token::Text(decoded(part))),
            _ if is_mark(first) => tokens.push(Token::Mark(first)),
            _ if first.is_ascii_whitespace() => {}
            _ => tokens.push(Token::Bare(String::from_utf8_lossy(part).into_owned())),
        }
        rest = after;
    }
    (tokens, false)
}

/// The position after the closing quote of the text that begins here.
fn end_of_text(bytes: &[u8]) -> Option<usize> {
    let mut next = 1;
    loop {
        match bytes.get(next)? {
            b'\\' => next += 2,
            b'"' => return Some(next + 1),
            _ => next += 1,
        }
    }
}

/// An escape that JSON does not know means its character; white space is a blank.
fn unescaped(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text.chars());
    while let Some(first) = rest.next() {
        match if first == '\\' { rest.next() } else { Some(first) } {
            Some('b' | 'f' | 'n' | 'r' | 't') if first == '\\' => plain.push(' '),
            Some(character) => plain.push(character),
            None => {}
        }
    }
    plain
}

/// Decodes a text in quotes. The JSON library reads bytes (here as a C string) more leniently than text: control characters,
/// half a surrogate pair and invalid UTF-8 become replacement characters.
pub fn decoded(quoted: &[u8]) -> String {
    if let Ok(text) = serde_json::from_slice(quoted) {
        return text;
    }
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    match serde_json::from_slice::<CString>(quoted) {
        Ok(text) => text.to_string_lossy().into_owned(),
        // What is written by its number may be part of a secret, and could not be recognized.
        Err(_) if inner.windows(2).any(|pair| pair == b"\\u") => char::REPLACEMENT_CHARACTER.to_string(),
        Err(_) => unescaped(&String::from_utf8_lossy(inner)),
    }
}
