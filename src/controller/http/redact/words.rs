//! Finds what is looked for only as a whole word, with neither a letter nor a digit beside it.

use std::{collections::HashSet, ops::Range};

/// Knows the words to find.
#[derive(Debug, Default)]
pub(crate) struct Words {
    words: HashSet<Vec<u8>>,
    longest: usize,
}

impl Words {
    /// Adds a short word: each place of a text is looked at once for each length.
    pub(crate) fn add(&mut self, word: Vec<u8>) {
        self.longest = self.longest.max(word.len());
        self.words.insert(word);
    }

    /// Where the words stand in `bytes`, in the order of their beginnings.
    pub(crate) fn find(&self, bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
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

/// Whether a word goes on behind these bytes.
fn ends_within(bytes: &[u8]) -> bool {
    let ends =
        (1..=MAX_CHARACTER).filter_map(|length| bytes.get(bytes.len().checked_sub(length)?..));
    is_in_word(ends)
}

/// Whether a word goes on with these bytes.
fn begins_within(bytes: &[u8]) -> bool {
    is_in_word((1..=MAX_CHARACTER).filter_map(|length| bytes.get(..length)))
}

/// Whether the first of these that is a character is a letter or a digit.
fn is_in_word<'a>(mut bytes: impl Iterator<Item = &'a [u8]>) -> bool {
    bytes
        .find_map(|bytes| str::from_utf8(bytes).ok()?.chars().next())
        .is_some_and(char::is_alphanumeric)
}
