//! Tests of the rooms of `src/`: what each room may import, and how large files and folders may be.
//! A room is a folder or a leaf file directly in `src/`.
//!
//! ```text
//!  files ──► Project (parsed, without tests) ──► Names (who defines what) ──► rules ──► lines
//!  ARCHITECTURE.md ──► Table ────────────────────────────────────────────────┘
//! ```
//!
//! # Guarantees
//! No violation is excepted. Each rule finds its violation in a small tree (`samples`).
//!
//! # Caveats
//! Names are resolved from the text alone: what a method call or an expanded macro reaches is not
//! seen.

mod circles;
mod edges;
mod items;
mod mentions;
mod names;
mod project;
mod rules;
mod samples;
mod sizes;
mod table;

use std::{collections::BTreeMap, fs, path::Path};

use self::project::{Project, Tree};

/// The file that contains the table of rooms.
const TABLE: &str = "ARCHITECTURE.md";

/// Violations by their lines, each with a detail that helps to correct it.
type Found = BTreeMap<String, String>;

#[test]
fn the_layers_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines: Vec<_> = violations(&tree(root))
        .into_iter()
        .map(
            |(line, detail)| if detail.is_empty() { line } else { format!("{line}    ({detail})") },
        )
        .collect();
    assert!(lines.is_empty(), "correct these, or {TABLE}:\n  {}", lines.join("\n  "));
}

/// Returns each violation as a line of text, with its detail.
fn told(found: &Found) -> Vec<String> {
    let line = |(line, detail): (&String, &String)| {
        if detail.is_empty() { line.clone() } else { format!("{line}    ({detail})") }
    };
    found.iter().map(line).collect()
}

/// Returns every violation in a tree of files.
fn violations(tree: &Tree) -> Found {
    let project = Project::read(tree);
    let mut found = rules::found(&project);
    found.extend(sizes::found(&project).into_iter().map(|line| (line, String::new())));
    found
}

/// Returns the files that the rules check, by their paths from the root.
fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    tree.insert(TABLE.to_owned(), fs::read_to_string(root.join(TABLE)).unwrap());
    for folder in ["src", "tests"] {
        collect(root, folder, &mut tree);
    }
    tree
}

/// Adds the Rust files of a folder and of its subfolders.
fn collect(root: &Path, folder: &str, tree: &mut Tree) {
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap().path();
        let path = format!("{folder}/{}", entry.file_name().unwrap().to_str().unwrap());
        if entry.is_dir() {
            collect(root, &path, tree);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            tree.insert(path, fs::read_to_string(entry).unwrap());
        }
    }
}
