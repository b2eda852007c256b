//! A name for a key that does not show it.

/// A key without showing it: a digest of its values and the endpoint under a random key of this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyIdentity([u8; 32]);

impl KeyIdentity {
    /// Its bytes, to make another name from it.
    pub const fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for KeyIdentity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&hex::encode(self.0.get(..4).unwrap_or_default()))
    }
}

impl From<[u8; 32]> for KeyIdentity {
    fn from(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}
