//! Tests of the rooms of `src/`: what each room may import, and how large files and folders may be.
//! A room is a folder or a leaf file directly in `src/`.
//!
//! ```text
//!  files ──► Project (parsed, without tests) ──► Names (who defines what) ──► rules ──► lines
//!  ARCHITECTURE.md ──► Table ────────────────────────────────────────────────┘          │
//!  known.txt ───────────────────────────────────────────────────────────────────────────┴► verdict
//! ```
//!
//! # Guarantees
//! A violation is one line without numbers, so that the line stays equal while code moves within a
//! file. The list of known violations may only shrink.
//!
//! # Caveats
//! Names are resolved from the text alone: what a method call or an expanded macro reaches is not
//! seen.

mod circles;
mod edges;
mod items;
mod known;
mod mentions;
mod names;
mod project;
mod rules;
mod samples;
mod sizes;
mod table;

use std::{collections::BTreeMap, env, fs, path::Path};

use self::{
    known::Known,
    project::{Project, Tree},
};

/// The file that contains the table of rooms.
const TABLE: &str = "ARCHITECTURE.md";
/// The file that contains the known violations.
const KNOWN: &str = "tests/api/layers/known.txt";
/// The variable that asks for the list of known violations to be written again.
const WRITE: &str = "SAGA_LAYERS_WRITE";

/// Violations by their lines, each with a detail that helps to correct it.
type Found = BTreeMap<String, String>;

#[test]
fn the_layers_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = violations(&tree(root));
    let path = root.join(KNOWN);
    let known = path.exists().then(|| Known::parse(&fs::read_to_string(&path).unwrap()));
    let difference = known.clone().unwrap_or_default().compare(&found);
    if env::var_os(WRITE).is_some_and(|word| word == "1")
        && (known.is_none() || difference.new.is_empty())
    {
        fs::write(&path, known.unwrap_or_default().written(&found)).unwrap();
        return;
    }
    assert!(difference.is_empty(), "{}", difference.told(&found));
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
