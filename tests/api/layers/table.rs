//! The table of rooms in `ARCHITECTURE.md`.

use std::collections::{BTreeMap, BTreeSet};

/// The rooms and what each may import.
#[derive(Debug, Default)]
pub struct Table {
    /// What each room may import, leaf files included.
    rooms: BTreeMap<String, BTreeSet<String>>,
    /// The leaf files, which every room may import.
    leaves: BTreeSet<String>,
    /// The parts of a room, each with its row in the table of the room. A row imports only rows
    /// above it.
    parts: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Table {
    /// Reads the first table whose columns are `room` and `may import`, and the tables of parts,
    /// whose first column is ``in `room/` ``.
    pub fn parse(text: &str) -> Self {
        let mut table = Self { parts: parts(text), ..Self::default() };
        let mut lines = text.lines().skip_while(|line| !is_head(line));
        assert!(lines.next().is_some(), "there is no table of rooms: | room | … | may import |");
        for line in lines.skip(1).take_while(|line| line.trim_start().starts_with('|')) {
            table.add(&cells(line));
        }
        for (room, imports) in &table.rooms {
            for import in imports {
                assert!(table.rooms.contains_key(import), "{room} may import {import}: no room");
            }
        }
        table
    }

    fn add(&mut self, row: &[&str]) {
        let (Some(first), Some(last)) = (row.first(), row.last()) else { return };
        let imports: BTreeSet<_> = names(last).map(str::to_owned).collect();
        for name in names(first) {
            let room = name.trim_end_matches('/');
            if room == name {
                self.leaves.insert(room.to_owned());
            }
            self.rooms.insert(room.to_owned(), imports.clone());
        }
    }

    /// Returns the rows of a room's parts, if the room has such a table.
    pub fn parts(&self, room: &str) -> Option<&BTreeMap<String, usize>> {
        self.parts.get(room)
    }

    /// Returns whether the table has a row for a room.
    pub fn has(&self, room: &str) -> bool {
        self.rooms.contains_key(room)
    }

    /// Returns whether the table lets one room import another.
    pub fn allows(&self, room: &str, other: &str) -> bool {
        self.leaves.contains(other) || self.rooms.get(room).is_some_and(|may| may.contains(other))
    }

    /// Returns the paths at which the rooms must be. The path of a folder ends with a slash.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.rooms.keys().map(|room| {
            let end = if self.leaves.contains(room) { ".rs" } else { "/" };
            format!("src/{room}{end}")
        })
    }
}

/// Reads the tables of parts.
fn parts(text: &str) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut all = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let head = cells(line).first().and_then(|cell| cell.strip_prefix("in ")).map(names);
        let Some(room) = head.and_then(|mut names| names.next()) else { continue };
        let rows = lines.by_ref().skip(1).take_while(|line| line.starts_with('|'));
        let rows = rows.enumerate().flat_map(|(row, line)| {
            let first = cells(line).first().copied().unwrap_or_default();
            names(first).map(move |name| (part(name).to_owned(), row)).collect::<Vec<_>>()
        });
        all.insert(room.trim_end_matches('/').to_owned(), rows.collect());
    }
    all
}

/// Returns the name of a part without the end that says whether the part is a file or a folder.
fn part(name: &str) -> &str {
    name.trim_end_matches('/').trim_end_matches(".rs")
}

fn is_head(line: &str) -> bool {
    let cells = cells(line);
    cells.first() == Some(&"room") && cells.last() == Some(&"may import")
}

fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_matches('|').split('|').map(str::trim).collect()
}

/// Returns the texts between backticks.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}
