//! The violations that are known, and what has changed since they were written down.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{Found, KNOWN, WRITE};

/// What stands above a new list.
const HEAD: &str =
    "# The violations of tests/api/layers.rs that are known. This list may only shrink.";

/// The list of known violations.
#[derive(Clone, Debug, Default)]
pub struct Known {
    comments: Vec<String>,
    lines: BTreeSet<String>,
}

/// How what is found differs from what is known.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What is not known.
    pub new: Vec<String>,
    /// What is known and not true any more.
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

    /// What has changed.
    pub fn compare(&self, found: &Found) -> Difference {
        let known = |line: &String| {
            self.lines.contains(line) || self.lines.iter().any(|known| covers(known, line))
        };
        let new = found.keys().filter(|line| !known(line)).cloned().collect();
        let gone = self.lines.iter().filter(|line| !found.contains_key(*line)).cloned().collect();
        Difference { new, gone }
    }

    /// The list as it is written today, under the comments that it has.
    pub fn written(mut self, found: &Found) -> String {
        if self.comments.is_empty() {
            self.comments.push(HEAD.to_owned());
        }
        let lines = self.comments.iter().chain(found.keys());
        lines.fold(String::new(), |text, line| text + line + "\n")
    }
}

impl Difference {
    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty()
    }

    /// What there is to do.
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

/// Whether a known line is of the same kind as another one, with more members.
fn covers(known: &str, line: &str) -> bool {
    let Some((head, members)) = members(line) else { return false };
    self::members(known).is_some_and(|(other, all)| {
        other == head && members.split(' ').all(|member| all.split(' ').any(|one| one == member))
    })
}

/// What a line says of several rooms or files, and these.
fn members(line: &str) -> Option<(&str, &str)> {
    match line.strip_prefix("room circle  ") {
        Some(rooms) => Some(("room circle", rooms)),
        None => line.strip_prefix("twice   ")?.split_once(": "),
    }
}
