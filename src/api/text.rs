//! Texts that must fit into fields.

/// The first `limit` characters: the CRD would refuse a longer text, and with it the whole record.
pub fn truncate(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}
