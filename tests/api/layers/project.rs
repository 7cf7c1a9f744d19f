//! The files of the project, parsed, without everything that only tests have.
#![allow(clippy::wildcard_enum_match_arm, reason = "few kinds of items hold others")]

use std::{collections::BTreeMap, ops::RangeInclusive, thread};

use syn::{Item, spanned::Spanned};

use super::{
    TABLE,
    items::{self, Declared, attributes_within, facts, is_test},
    mentions::Mentions,
    table::Table,
};

/// The number of threads that parse: parsing takes most of the time.
const THREADS: usize = 4;

/// Texts by their paths from the root.
pub type Tree = BTreeMap<String, String>;
/// The path of a module, from the root of the crate.
pub type Module = Vec<String>;

/// The project as the rules see it.
#[derive(Debug)]
pub struct Project<'t> {
    /// Every file.
    pub tree: &'t Tree,
    /// The table of rooms.
    pub table: Table,
    /// The files under `src/` that are not tests.
    pub sources: Vec<Source>,
}

/// One file under `src/`.
#[derive(Debug)]
pub struct Source {
    /// The path from the root.
    pub path: String,
    /// The module that the file holds.
    pub module: Module,
    /// The named items of the file.
    pub declared: Vec<Declared>,
    /// The names that the file makes public.
    pub public: Vec<String>,
    /// What the file mentions.
    pub mentions: Mentions,
    /// What was cut off.
    pub cut: Cut,
}

impl<'t> Project<'t> {
    /// Parses the files and cuts off the tests.
    pub fn read(tree: &'t Tree) -> Self {
        let code = |(path, _): &(&String, &String)| {
            path.starts_with("src/") && !path.ends_with("/tests.rs") && !path.contains("/tests/")
        };
        let files: Vec<_> = tree.iter().filter(code).collect();
        let part = |number| files.iter().skip(number).step_by(THREADS);
        let mut sources: Vec<_> = thread::scope(|scope| {
            let parse = |number| {
                let files = part(number);
                scope.spawn(|| files.map(|(path, text)| Source::parse(path, text)).collect())
            };
            let threads: Vec<thread::ScopedJoinHandle<'_, Vec<_>>> =
                (0..THREADS).map(parse).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let tests: Vec<_> = sources.iter().flat_map(|source| source.cut.modules.clone()).collect();
        sources.retain(|source| !tests.iter().any(|test| source.module.starts_with(test)));
        sources.sort_by(|one, other| one.path.cmp(&other.path));
        Self { tree, table: Table::parse(&tree[TABLE]), sources }
    }
}

impl Source {
    fn parse(path: &str, text: &str) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let (module, mut items, mut cut) = (module(path), file.items, Cut::default());
        cut.off(&mut items, &module);
        Self {
            path: path.to_owned(),
            declared: items::declared(&module, &items),
            public: items::public(&items),
            mentions: Mentions::of(&module, &items),
            module,
            cut,
        }
    }
}

/// Returns the room of a module, or `None` if the module is in no room.
pub fn room(module: &[String]) -> Option<&str> {
    match module {
        [root, first, ..] if root == "crate" => Some(first),
        _ => None,
    }
}

/// Returns the path of a module with one more name.
pub fn within(module: &[String], name: &(impl ToString + ?Sized)) -> Module {
    module.iter().cloned().chain([name.to_string()]).collect()
}

/// Returns the module that a file holds. A binary has its own root.
fn module(path: &str) -> Module {
    let stem = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    match stem.strip_prefix("bin/") {
        Some(binary) => {
            let mut parts = binary.trim_end_matches("/main").split('/').map(str::to_owned);
            let root = parts.next().map(|name| format!("bin/{name}"));
            root.into_iter().chain(parts).collect()
        }
        None if stem == "lib" => vec!["crate".to_owned()],
        None if stem == "main" => vec!["bin/main".to_owned()],
        None => ["crate"].into_iter().chain(stem.split('/')).map(str::to_owned).collect(),
    }
}

/// The tests that were cut off a file.
#[derive(Debug, Default)]
pub struct Cut {
    /// The lines of the tests.
    pub lines: Vec<RangeInclusive<usize>>,
    /// The modules of the tests, in this file or in other files.
    modules: Vec<Module>,
}

impl Cut {
    fn off(&mut self, items: &mut Vec<Item>, scope: &[String]) {
        items.retain(|item| {
            let test = is_test(facts(item).attributes);
            if let (true, Item::Mod(declared)) = (test, item) {
                self.modules.push(within(scope, &declared.ident));
            }
            !test || self.lines_of(item)
        });
        for item in items {
            match item {
                Item::Mod(inner) => {
                    if let Some((_, items)) = &mut inner.content {
                        self.off(items, &within(scope, &inner.ident));
                    }
                }
                Item::Impl(inner) => {
                    inner
                        .items
                        .retain(|item| !is_test(attributes_within(item)) || self.lines_of(item));
                }
                _ => {}
            }
        }
    }

    /// Records the lines of an item that is not kept.
    fn lines_of(&mut self, item: &impl Spanned) -> bool {
        let span = item.span();
        self.lines.push(span.start().line..=span.end().line);
        false
    }
}
