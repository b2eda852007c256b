//! Digests of a key, which identify it and do not reveal it.

/// Identifies a key without revealing it: a digest of its values and the endpoint under a random key of this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyIdentity([u8; 32]);

impl KeyIdentity {
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

/// The digests of what a request is made with, by which requests and refusals are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyDigests {
    /// Digest of the access key or the user, and the endpoint: the cloud counts wrong signatures by it.
    pub key: KeyIdentity,
    /// Digest of all values (access key, secret key, token), and the endpoint: whether they work is known by it.
    pub values: KeyIdentity,
}
