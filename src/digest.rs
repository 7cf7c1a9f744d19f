//! Digests for names and records.

use sha2::{Digest, Sha256};

/// Returns the SHA-256 of the parts in hexadecimal. Each part is preceded by its length, so that no
/// two lists have the same input.
#[must_use]
pub fn sha256_hex(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let hex = |byte: &u8| {
        [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0'))
    };
    hasher.finalize().iter().flat_map(hex).collect()
}

/// Returns the first `digits` digits of [`sha256_hex`].
#[must_use]
pub fn short_hash(parts: &[&str], digits: usize) -> String {
    let mut hash = sha256_hex(parts);
    hash.truncate(digits);
    hash
}
