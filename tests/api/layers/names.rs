//! The names of each module, and the modules that define what the names stand for.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    items::Kind,
    mentions::How,
    project::{Module, Source, within},
};

/// The target of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// An item that is defined in this module.
    Item(Module),
    /// A module.
    Module(Module),
}

/// The names of every module.
#[derive(Debug, Default)]
pub struct Names {
    modules: BTreeMap<Module, Scope>,
}

#[derive(Debug, Default)]
struct Scope {
    /// The file that contains the module.
    file: String,
    names: BTreeMap<String, Vec<Meaning>>,
    /// The modules whose names this module imports by a glob.
    globs: Vec<Vec<String>>,
}

#[derive(Debug)]
enum Meaning {
    Item,
    Module,
    Use(Vec<String>),
}

/// The names that were already looked up: a `use` may lead back to itself.
type Seen = BTreeSet<(Module, String, usize)>;

impl Names {
    /// Returns the names of all modules.
    pub fn of(sources: &[Source]) -> Self {
        let mut names = Self::default();
        for source in sources {
            names.scope(&source.path, &source.module);
            for declared in &source.declared {
                let meaning = match declared.kind {
                    Kind::File | Kind::Inline => Meaning::Module,
                    Kind::Type | Kind::Other => Meaning::Item,
                };
                if declared.kind == Kind::Inline {
                    names.scope(&source.path, &within(&declared.scope, &declared.name));
                }
                let scope = names.scope(&source.path, &declared.scope);
                scope.names.entry(declared.name.clone()).or_default().push(meaning);
            }
            for mention in &source.mentions.paths {
                let scope = names.scope(&source.path, &mention.scope);
                if let Some(alias) = &mention.alias {
                    let path = Meaning::Use(mention.path.clone());
                    scope.names.entry(alias.clone()).or_default().push(path);
                } else if matches!(mention.how, How::Glob | How::OpenGlob) {
                    scope.globs.push(mention.path.clone());
                }
            }
        }
        names
    }

    fn scope(&mut self, file: &str, module: &[String]) -> &mut Scope {
        let empty = || Scope { file: file.to_owned(), ..Scope::default() };
        self.modules.entry(module.to_vec()).or_insert_with(empty)
    }

    /// Returns the file that contains a module.
    pub fn file(&self, module: &[String]) -> Option<&str> {
        self.modules.get(module).map(|scope| scope.file.as_str())
    }

    /// Returns the targets of a path in a module. The result is empty if the path leaves the crate.
    pub fn resolve(&self, scope: &[String], path: &[String]) -> BTreeSet<Target> {
        self.walk(scope, path, &mut Seen::new())
    }

    fn walk(&self, scope: &[String], path: &[String], seen: &mut Seen) -> BTreeSet<Target> {
        if let Some((module, rest)) = anchored(scope, path) {
            return self.descend(&module, rest, seen);
        }
        let Some((first, rest)) = path.split_first() else { return BTreeSet::new() };
        self.behind(self.look_up(scope, first, seen), rest, seen)
    }

    fn descend(&self, module: &[String], path: &[String], seen: &mut Seen) -> BTreeSet<Target> {
        let Some((first, rest)) = path.split_first() else {
            return BTreeSet::from([Target::Module(module.to_vec())]);
        };
        let found = self.look_up(module, first, seen);
        if found.is_empty() && self.modules.contains_key(module) {
            // A macro created the name.
            return BTreeSet::from([Target::Item(module.to_vec())]);
        }
        self.behind(found, rest, seen)
    }

    /// Continues from the targets of the first names of a path. The items of a type are in the
    /// module of the type.
    fn behind(
        &self,
        found: BTreeSet<Target>,
        rest: &[String],
        seen: &mut Seen,
    ) -> BTreeSet<Target> {
        let modules: Vec<_> = found
            .iter()
            .filter_map(|target| match target {
                Target::Module(module) => Some(module),
                Target::Item(_) => None,
            })
            .collect();
        if rest.is_empty() || modules.is_empty() {
            return found;
        }
        modules.into_iter().flat_map(|module| self.descend(module, rest, seen)).collect()
    }

    fn look_up(&self, module: &[String], name: &str, seen: &mut Seen) -> BTreeSet<Target> {
        let mut found = BTreeSet::new();
        let Some(scope) = self.modules.get(module) else { return found };
        for (place, meaning) in scope.names.get(name).into_iter().flatten().enumerate() {
            match meaning {
                Meaning::Item => drop(found.insert(Target::Item(module.to_vec()))),
                Meaning::Module => drop(found.insert(Target::Module(within(module, name)))),
                Meaning::Use(path) => {
                    if seen.insert((module.to_vec(), name.to_owned(), place)) {
                        found.extend(self.walk(module, path, seen));
                    }
                }
            }
        }
        if found.is_empty() && seen.insert((module.to_vec(), name.to_owned(), usize::MAX)) {
            for glob in &scope.globs {
                for target in self.walk(module, glob, seen) {
                    if let Target::Module(module) = target {
                        found.extend(self.look_up(&module, name, seen));
                    }
                }
            }
        }
        found
    }
}

/// Returns the module at which a path with `crate`, `self` or `super` starts, and the remaining
/// names.
pub fn anchored<'p>(scope: &[String], path: &'p [String]) -> Option<(Module, &'p [String])> {
    let supers = |path: &[String]| path.iter().take_while(|name| *name == "super").count();
    match path.first()?.as_str() {
        "crate" => Some((scope[..1].to_vec(), &path[1..])),
        first @ ("self" | "super") => {
            let own = usize::from(first == "self");
            let up = supers(&path[own..]);
            let depth = scope.len().saturating_sub(up).max(1);
            Some((scope[..depth].to_vec(), &path[own + up..]))
        }
        _ => None,
    }
}

/// Returns the path from the root of the crate, if the path starts with `crate`, `self` or `super`.
pub fn absolute(scope: &[String], path: &[String]) -> Option<Module> {
    anchored(scope, path).map(|(module, rest)| [module.as_slice(), rest].concat())
}
