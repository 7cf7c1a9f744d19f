//! Finds texts that are searched only as whole words: neither a letter nor a digit stands beside
//! the word.

use std::{collections::HashSet, ops::Range};

/// The words to find.
#[derive(Debug, Default)]
pub(in crate::controller) struct Words {
    words: HashSet<Vec<u8>>,
    longest: usize,
}

impl Words {
    /// Adds a word. The word must be short, because the search tries every length up to that of the
    /// longest word at each place of a text.
    pub(in crate::controller) fn add(&mut self, word: Vec<u8>) {
        self.longest = self.longest.max(word.len());
        self.words.insert(word);
    }

    /// Returns the places of the words in `bytes`, in the order of their starts.
    pub(in crate::controller) fn find(&self, bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
        let length = if self.words.is_empty() { 0 } else { bytes.len() };
        let starts = (0..length)
            .filter_map(|start| bytes.split_at_checked(start))
            .filter(|(before, _)| !ends_within(before));
        starts.flat_map(|(before, rest)| {
            let words = (1..=self.longest).filter_map(|length| rest.split_at_checked(length));
            let found =
                words.filter(|(word, after)| self.words.contains(*word) && !begins_within(after));
            found.map(|(word, _)| before.len()..before.len().saturating_add(word.len()))
        })
    }
}

/// The most bytes of a character.
const MAX_CHARACTER: usize = 4;

/// Returns whether the last character of `bytes` is a letter or a digit, so that a word continues
/// after `bytes`.
fn ends_within(bytes: &[u8]) -> bool {
    let ends =
        (1..=MAX_CHARACTER).filter_map(|length| bytes.get(bytes.len().checked_sub(length)?..));
    is_in_word(ends)
}

/// Returns whether the first character of `bytes` is a letter or a digit, so that a word continues
/// with `bytes`.
fn begins_within(bytes: &[u8]) -> bool {
    is_in_word((1..=MAX_CHARACTER).filter_map(|length| bytes.get(..length)))
}

/// Returns whether the first of these slices that is valid UTF-8 begins with a letter or a digit.
fn is_in_word<'a>(mut bytes: impl Iterator<Item = &'a [u8]>) -> bool {
    bytes
        .find_map(|bytes| str::from_utf8(bytes).ok()?.chars().next())
        .is_some_and(char::is_alphanumeric)
}
