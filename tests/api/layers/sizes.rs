//! The rules for the length of files, the width of lines and the number of files in folders.

use std::{collections::BTreeMap, ops::RangeInclusive};

use super::{TABLE, project::Project};

/// The most lines of logic in a file.
const LINES: usize = 300;
/// The most columns of a line.
const COLUMNS: usize = 100;
/// The most files directly in a folder.
const FILES: usize = 18;

/// Returns every violation of these rules.
pub fn found(project: &Project) -> Vec<String> {
    let tests: BTreeMap<_, _> =
        project.sources.iter().map(|source| (&source.path, source.cut.lines.as_slice())).collect();
    let mut found = Vec::new();
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    for (path, text) in project.tree.iter().filter(|(path, _)| *path != TABLE) {
        if logic(text, tests.get(path).copied().unwrap_or_default()) > LINES {
            found.push(format!("long file  {path}"));
        }
        if text.lines().any(|line| line.chars().count() > COLUMNS) {
            found.push(format!("wide    {path}"));
        }
        if let Some((folder, name)) = path.rsplit_once('/')
            && path.starts_with("src/")
            && name != "tests.rs"
        {
            *folders.entry(folder).or_default() += 1;
        }
    }
    let crowded = folders.into_iter().filter(|(_, files)| *files > FILES);
    found.extend(crowded.map(|(folder, _)| format!("crowded {folder}/")));
    found
}

/// Returns the number of lines of logic: blank lines, comments and tests within the file do not
/// count.
fn logic(text: &str, tests: &[RangeInclusive<usize>]) -> usize {
    let mut comment = false;
    let does_something = |line: &str| {
        let line = line.trim();
        let begins = comment || line.starts_with("/*");
        comment = begins && !line.contains("*/");
        !begins && !line.is_empty() && !line.starts_with("//")
    };
    let lines: Vec<_> = text.lines().map(does_something).collect();
    (1..)
        .zip(lines)
        .filter(|(number, does)| *does && !tests.iter().any(|lines| lines.contains(number)))
        .count()
}
