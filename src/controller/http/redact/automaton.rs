//! Finds many texts in another text in one pass, with the Aho-Corasick algorithm.
//!
//! # Guarantees
//! The bounds hold however the texts overlap or contain one another. Building a finder takes time
//! and memory for each byte of the texts. Searching takes time for each byte searched. A node knows
//! only the longest text that ends there, because that text covers the others. A list of all such
//! texts at each node would grow with the square of the bytes of a hostile Secret.

use std::{collections::HashMap, ops::Range};

/// The node of the empty prefix.
const ROOT: u32 = 0;

/// A prefix of one or more texts.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// The prefix without its last byte; `byte` is that last byte.
    parent: u32,
    byte: u8,
    /// The longest proper suffix of this prefix that is also a prefix of a text.
    shorter: u32,
    /// The length of this prefix in bytes.
    length: u32,
    /// The bytes of the longest text that ends here, or 0 if no text ends here.
    longest: u32,
}

/// A finder of a fixed set of texts.
#[derive(Debug)]
pub(in crate::controller) struct Finder {
    nodes: Vec<Node>,
    next: HashMap<(u32, u8), u32>,
}

impl Finder {
    /// Creates a finder of `texts`.
    pub(in crate::controller) fn new<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut finder = Self { nodes: vec![Node::default()], next: HashMap::new() };
        for text in texts {
            finder.add(text.as_ref());
        }
        finder.link();
        finder
    }

    /// Returns the places of the texts in `bytes`, in the order of their ends. Of several texts
    /// with the same end, only the longest one is returned.
    pub(in crate::controller) fn find(&self, bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
        let mut at = ROOT;
        bytes.iter().zip(1_usize..).filter_map(move |(byte, end)| {
            at = self.step(at, *byte);
            let longest =
                usize::try_from(self.node(at).longest).ok().filter(|longest| *longest > 0)?;
            Some(end.saturating_sub(longest)..end)
        })
    }

    /// Returns the memory that the finder takes, in nodes.
    #[cfg(test)]
    pub(in crate::controller) fn size(&self) -> usize {
        self.nodes.len()
    }

    fn node(&self, at: u32) -> Node {
        usize::try_from(at).ok().and_then(|at| self.nodes.get(at)).copied().unwrap_or_default()
    }

    fn change(&mut self, at: u32, change: impl FnOnce(&mut Node)) {
        if let Some(node) = usize::try_from(at).ok().and_then(|at| self.nodes.get_mut(at)) {
            change(node);
        }
    }

    fn add(&mut self, text: &[u8]) {
        let mut at = ROOT;
        for byte in text {
            let known = self.next.get(&(at, *byte)).copied();
            // A node number always fits, because callers bound the bytes of all texts.
            let Ok(new) = u32::try_from(self.nodes.len()) else { return };
            at = known.unwrap_or_else(|| {
                self.nodes.push(Node {
                    parent: at,
                    byte: *byte,
                    length: self.node(at).length.saturating_add(1),
                    ..Node::default()
                });
                self.next.insert((at, *byte), new);
                new
            });
        }
        self.change(at, |node| node.longest = node.length);
    }

    /// Computes for each prefix its longest suffix and its longest text, short prefixes first.
    fn link(&mut self) {
        let mut all: Vec<u32> = (1..).take(self.nodes.len().saturating_sub(1)).collect();
        all.sort_by_key(|at| self.node(*at).length);
        for at in all {
            let Node { parent, byte, .. } = self.node(at);
            let shorter =
                if parent == ROOT { ROOT } else { self.step(self.node(parent).shorter, byte) };
            let covered = self.node(shorter).longest;
            self.change(at, |node| {
                node.shorter = shorter;
                node.longest = node.longest.max(covered);
            });
        }
    }

    /// Returns the longest suffix of this prefix plus one more byte that is a prefix of a text.
    fn step(&self, mut at: u32, byte: u8) -> u32 {
        loop {
            if let Some(next) = self.next.get(&(at, byte)) {
                return *next;
            }
            if at == ROOT {
                return ROOT;
            }
            at = self.node(at).shorter;
        }
    }
}
