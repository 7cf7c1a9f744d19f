//! Tests that the core decides and builds, and does nothing else: it does not wait, and it uses no
//! cluster, no clock and no random numbers.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Words that are not allowed in the core.
const IMPURE: [&str; 22] = [
    "async",
    "await",
    "tokio",
    "Client",
    "Api",
    "reqwest",
    "Timestamp::now",
    "SystemTime::now",
    "Instant::now",
    "elapsed()",
    "rand",
    "std::fs",
    "std::io",
    "fs::",
    "io::",
    "{fs",
    "{io",
    "TcpStream",
    "UdpSocket",
    "Command::new",
    "println",
    "eprintln",
];

/// The folders of the core, and other folders that decide or report without performing anything.
const CORE: [&str; 11] = [
    "api",
    "coordination",
    "egress",
    "engine",
    "expression",
    "manifest",
    "model",
    "objects",
    "plugin",
    "validate",
    "world",
];
/// The files in these folders that may perform something.
const SHELLS: [&str; 1] = ["plugin/shell.rs"];

#[test]
fn the_core_waits_for_nothing_and_asks_nobody() {
    let library = fs::read_to_string(source("lib.rs")).unwrap();
    let mut found = Vec::new();
    for folder in CORE {
        assert!(
            library.contains(&format!("pub mod {folder};")),
            "no folder {folder} is declared in src/lib.rs: correct the names here"
        );
        // A test may need the current instant as a start.
        let pure = |path: &PathBuf| {
            !path.ends_with("tests.rs") && !SHELLS.iter().any(|shell| path.ends_with(shell))
        };
        for path in rust_files(&source(folder)).into_iter().filter(pure) {
            let text = fs::read_to_string(&path).unwrap();
            for (line, code) in
                (1..).zip(text.lines()).filter(|(_, code)| !code.trim_start().starts_with("//"))
            {
                found.extend(
                    IMPURE
                        .iter()
                        .filter(|word| mentions(code, word))
                        .map(|word| format!("{}:{line}: {word}", path.display())),
                );
            }
        }
    }
    assert!(
        found.is_empty(),
        "the core has to be handed such things as values:\n{}",
        found.join("\n")
    );
}

/// Effects leave only after the status that names them is stored. So only the file that writes the
/// status may make the proof, and no part of the operator may make the proof of the simulation.
#[test]
fn the_proof_that_a_status_is_stored_is_made_where_the_status_is_written() {
    let mut makers = Vec::new();
    for path in rust_files(&source("")) {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(source("")).unwrap().display().to_string();
        for maker in ["Acknowledged::by_api_server(", "Acknowledged::simulated("] {
            makers.extend(text.contains(maker).then(|| format!("{name}: {maker}")));
        }
    }
    makers.sort();
    assert_eq!(
        makers,
        [
            "controller/record.rs: Acknowledged::by_api_server(",
            "world/reconcile.rs: Acknowledged::simulated(",
        ]
    );
}

#[test]
fn a_word_is_found_only_as_a_whole() {
    assert!(mentions("    pub async fn run() {", "async"));
    assert!(mentions("jiff::Timestamp::now()", "Timestamp::now"));
    assert!(!mentions("let operand = random_name;", "rand"));
    assert!(
        mentions("use std::{fs, io};", "{fs") && mentions("use kube::{Api, Client};", "Client")
    );
}

/// Returns whether a line contains a word that is not part of a longer word.
fn mentions(line: &str, word: &str) -> bool {
    let part_of_a_word = |neighbour: Option<char>| {
        neighbour.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    };
    line.match_indices(word).any(|(at, _)| {
        !part_of_a_word(line[..at].chars().next_back())
            && !part_of_a_word(line[at + word.len()..].chars().next())
    })
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name)
}

/// Returns all Rust files of a folder and of its subfolders.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
