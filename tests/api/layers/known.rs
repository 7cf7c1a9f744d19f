//! The known violations, and the differences to what is found now.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{Found, KNOWN, WRITE};

/// The comment at the top of a new list.
const HEAD: &str =
    "# The violations of tests/api/layers.rs that are known. This list may only shrink.";

/// The list of known violations.
#[derive(Clone, Debug, Default)]
pub struct Known {
    comments: Vec<String>,
    lines: BTreeSet<String>,
}

/// The difference between the violations that are found and the known ones.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The violations that are not known.
    pub new: Vec<String>,
    /// The known violations that no longer exist.
    pub gone: Vec<String>,
}

impl Known {
    /// Reads a list: one violation a line, with comments.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
        let (comments, lines): (Vec<_>, Vec<_>) =
            lines.map(str::to_owned).partition(|line| line.starts_with('#'));
        Self { comments, lines: lines.into_iter().collect() }
    }

    /// Returns the difference between this list and what is found.
    pub fn compare(&self, found: &Found) -> Difference {
        let known = |line: &String| {
            self.lines.contains(line) || self.lines.iter().any(|known| covers(known, line))
        };
        let new = found.keys().filter(|line| !known(line)).cloned().collect();
        let gone = self.lines.iter().filter(|line| !found.contains_key(*line)).cloned().collect();
        Difference { new, gone }
    }

    /// Returns the text of the list with the violations that are found, below the existing
    /// comments.
    pub fn written(mut self, found: &Found) -> String {
        if self.comments.is_empty() {
            self.comments.push(HEAD.to_owned());
        }
        let lines = self.comments.iter().chain(found.keys());
        lines.fold(String::new(), |text, line| text + line + "\n")
    }
}

impl Difference {
    /// Returns whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty()
    }

    /// Returns what has to be done, as text.
    pub fn told(&self, found: &Found) -> String {
        let mut text = String::new();
        if !self.new.is_empty() {
            text += "\nmend these: the list of known violations may only shrink\n";
        }
        for line in &self.new {
            let detail = found.get(line).filter(|detail| !detail.is_empty());
            let detail = detail.map(|detail| format!("    ({detail})")).unwrap_or_default();
            let _ = writeln!(text, "  {line}{detail}");
        }
        if !self.gone.is_empty() {
            let _ = writeln!(text, "\ntake these lines off {KNOWN} ({WRITE}=1 writes it anew)");
        }
        for line in &self.gone {
            let _ = writeln!(text, "  {line}");
        }
        text
    }
}

/// Returns whether a known line is of the same kind as another line and has more members.
fn covers(known: &str, line: &str) -> bool {
    let Some((head, members)) = members(line) else { return false };
    self::members(known).is_some_and(|(other, all)| {
        other == head && members.split(' ').all(|member| all.split(' ').any(|one| one == member))
    })
}

/// Returns the kind of a line about several rooms or files, and these members.
fn members(line: &str) -> Option<(&str, &str)> {
    match line.strip_prefix("room circle  ") {
        Some(rooms) => Some(("room circle", rooms)),
        None => line.strip_prefix("twice   ")?.split_once(": "),
    }
}
