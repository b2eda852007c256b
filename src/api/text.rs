//! Truncation of texts to the limits of CRD fields.

/// The first `limit` characters: the CRD would reject a longer text, and with it the whole record.
pub fn truncate(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}
