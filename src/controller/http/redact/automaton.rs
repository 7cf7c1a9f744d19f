//! Finds many texts in another one at once, as Aho and Corasick do it.
//!
//! # Guarantees
//! However the texts overlap or hold one another: building one takes time and memory for each of
//! their bytes, and finding them time for each byte that is looked into. A node knows only the
//! longest text that ends at it, for that one covers the others. A list of them all at each node
//! would grow with the square of what a hostile Secret holds.

use std::{collections::HashMap, ops::Range};

/// The node of no byte at all.
const ROOT: u32 = 0;

/// The beginning of a text.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// The beginning that is one byte shorter, and that byte.
    parent: u32,
    byte: u8,
    /// The longest end of this one that is the beginning of a text, too.
    shorter: u32,
    /// How many bytes it has.
    length: u32,
    /// How many bytes the longest text has that ends here; 0 where none does.
    longest: u32,
}

/// Knows the texts to find.
#[derive(Debug)]
pub(crate) struct Finder {
    nodes: Vec<Node>,
    next: HashMap<(u32, u8), u32>,
}

impl Finder {
    /// Finds `texts`.
    pub(crate) fn new<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut finder = Self { nodes: vec![Node::default()], next: HashMap::new() };
        for text in texts {
            finder.add(text.as_ref());
        }
        finder.link();
        finder
    }

    /// Where texts stand in `bytes`, in the order of their ends: of those with the same end the
    /// longest one.
    pub(crate) fn find(&self, bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
        let mut at = ROOT;
        bytes.iter().zip(1_usize..).filter_map(move |(byte, end)| {
            at = self.step(at, *byte);
            let longest =
                usize::try_from(self.node(at).longest).ok().filter(|longest| *longest > 0)?;
            Some(end.saturating_sub(longest)..end)
        })
    }

    /// How much memory it takes, in nodes.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
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
            // Far fewer than there are numbers: callers bound the bytes of all texts.
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

    /// Finds out for each beginning what it ends with, the short ones first.
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

    /// The longest end of this beginning and one more byte that is the beginning of a text.
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
