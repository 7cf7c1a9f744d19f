//! The imports between files: which file imports what another file defines, and the graphs of the
//! folders that follow.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    circles::Graph,
    mentions::{How, Mention},
    names::{Names, Target},
    project::{Module, Project, Source},
};

/// The modules of the files from which each file imports.
pub type Edges = BTreeMap<Module, BTreeSet<Module>>;

/// Returns which file imports from which, by the modules that the files hold.
pub fn edges(project: &Project, names: &Names) -> Edges {
    let holds: BTreeMap<_, _> =
        project.sources.iter().map(|source| (source.path.as_str(), &source.module)).collect();
    let mut edges = Edges::new();
    for source in &project.sources {
        let mentions = &source.mentions;
        let used: BTreeSet<_> = mentions
            .paths
            .iter()
            .filter(|mention| mention.how == How::Inline)
            .map(|mention| &mention.path[0])
            .collect();
        let files: BTreeSet<_> = mentions
            .paths
            .iter()
            .flat_map(|mention| {
                let by_name = mention.alias.as_ref().is_some_and(|alias| used.contains(alias));
                let targets = names.resolve(&mention.scope, &mention.path);
                targets.into_iter().filter_map(move |target| taken(mention, target, by_name))
            })
            .filter_map(|module| names.file(&module).and_then(|file| holds.get(file)))
            .filter(|module| **module != &source.module)
            .map(|module| (*module).clone())
            .collect();
        edges.insert(source.module.clone(), files);
    }
    edges
}

/// Returns the module from whose file a mention imports, or `None` if the mention is not an import.
///
/// If a module is imported and then used in a path, the items at the end of the path count, not the
/// module. If a module re-exports its own descendants, that is not an import.
fn taken(mention: &Mention, target: Target, by_name: bool) -> Option<Module> {
    let open = matches!(mention.how, How::Reexport | How::OpenGlob);
    match (target, mention.how) {
        (Target::Item(module) | Target::Module(module), _) if open => {
            (!module.starts_with(&mention.scope)).then_some(module)
        }
        (Target::Module(module), How::Import) => (!by_name).then_some(module),
        (Target::Item(module), _) | (Target::Module(module), How::Glob) => Some(module),
        (Target::Module(_), _) => None,
    }
}

/// Returns the graph of each folder. Its nodes are the files and folders directly in it.
///
/// An edge appears in one folder only: the innermost folder that holds both files.
pub fn levels(sources: &[Source], edges: &Edges) -> BTreeMap<Module, Graph> {
    let mut levels: BTreeMap<Module, Graph> = BTreeMap::new();
    for (from, to) in edges.iter().flat_map(|(from, all)| all.iter().map(move |to| (from, to))) {
        let same = from.iter().zip(to).take_while(|(one, other)| one == other).count();
        if same > 0 {
            let level = levels.entry(from[..same].to_vec()).or_default();
            let (from, to) = (node(sources, same, from), node(sources, same, to));
            level.entry(from).or_default().insert(to);
        }
    }
    levels
}

/// Returns the path of the node that holds a module, in a folder of this depth: the folder's own
/// file, another file or a folder.
fn node(sources: &[Source], depth: usize, module: &[String]) -> String {
    let own = module.len() == depth;
    let node = &module[..module.len().min(depth + 1)];
    let files: Vec<_> = sources.iter().filter(|source| source.module.starts_with(node)).collect();
    let path = files.iter().find(|source| source.module == node).map(|source| source.path.as_str());
    match path {
        Some(path) if own || files.len() == 1 => path.to_owned(),
        Some(path) => format!("{}/", path.trim_end_matches(".rs").trim_end_matches("/mod")),
        None => format!("src/{}/", node[1..].join("/")),
    }
}
