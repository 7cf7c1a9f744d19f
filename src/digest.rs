//! Digests that names and records are made of.

use sha2::{Digest, Sha256};

/// SHA-256 over the parts, each preceded by its length so that no two lists collide, in
/// hexadecimal.
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
