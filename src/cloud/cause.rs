//! PURE: the cause at the bottom of an error, in words that may be shown.

use super::outcome::scrub;

/// An error and what lies under it, without URLs' queries or anything of ours that is secret: these are errors of
/// names, sockets and certificates.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut words = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !words.contains(&text) {
            words.push(text);
        }
        next = error.source();
    }
    // The outermost says only that something failed; the root_cause says what.
    let start = usize::from(words.len() > 1);
    scrub(&words.get(start..).unwrap_or_default().join(": "), &[], 200)
}
