//! PURE: the root cause of an error, as text that may be shown.

use super::outcome::scrub;

/// The chain of causes of an error. It holds no query of a URL and no secret of this process: these are errors of names,
/// sockets and certificates.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut causes = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !causes.contains(&text) {
            causes.push(text);
        }
        next = error.source();
    }
    // The outermost error reports only that something failed; its causes report why.
    let start = usize::from(causes.len() > 1);
    scrub(&causes.get(start..).unwrap_or_default().join(": "), &[], 200)
}
