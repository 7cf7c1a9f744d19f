//! The rules of who may import what, and of where files belong.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Found,
    circles::{self, Graph},
    edges::{self, Edges},
    items::Kind,
    mentions::{How, Mention},
    names::{Names, Target, absolute},
    project::{Module, Project, Source, room},
};

/// The file that may export only one thing.
const DOOR: &str = "src/controller/mod.rs";

/// Returns every violation of these rules.
pub fn found(project: &Project) -> Found {
    let names = Names::of(&project.sources);
    let edges = edges::edges(project, &names);
    let mut found = circles(project, &edges);
    found.extend(room_circles(project, &edges));
    let lines = [
        imports(project),
        supers(project),
        impls(project, &names),
        twice(project),
        door(project),
        strangers(project),
        order(project, &edges),
    ];
    found.extend(lines.into_iter().flatten().map(|line| (line, String::new())));
    found
}

/// Returns the name in the crate's root through which a path leaves its room, or `None` if the path
/// stays in the room.
fn other_room(mention: &Mention) -> Option<String> {
    let path = absolute(&mention.scope, &mention.path).filter(|_| mention.how != How::Bare)?;
    let name = path.get(1).map_or("lib", String::as_str);
    (Some(name) != room(&mention.scope)).then(|| name.to_owned())
}

/// Returns what each file mentions outside its room. Files that are in no room are left out.
fn outward(sources: &[Source]) -> impl Iterator<Item = (&Source, &str, &Mention, String)> {
    sources.iter().flat_map(|source| {
        let own = room(&source.module);
        let out = move |mention| Some((source, own?, mention, other_room(mention)?));
        source.mentions.paths.iter().filter_map(out)
    })
}

fn imports(project: &Project) -> Vec<String> {
    outward(&project.sources)
        .filter(|(_, own, _, other)| !project.table.allows(own, other))
        .map(|(source, _, _, other)| format!("import  {}: {other}", source.path))
        .collect()
}

fn supers(project: &Project) -> Vec<String> {
    outward(&project.sources)
        .filter(|(_, _, mention, _)| mention.path[0] != "crate")
        .map(|(source, _, mention, _)| {
            let up = mention.path.iter().take_while(|name| ["self", "super"].contains(&&***name));
            let shown = (up.count() + 1).min(mention.path.len());
            format!("super   {}: {}", source.path, mention.path[..shown].join("::"))
        })
        .collect()
}

fn room_circles(project: &Project, edges: &Edges) -> Found {
    let mut rooms = Graph::new();
    let mut add = |from: &str, to: &str| {
        if from != to {
            rooms.entry(from.to_owned()).or_default().insert(to.to_owned());
        }
    };
    outward(&project.sources).for_each(|(_, own, _, other)| add(own, &other));
    for (from, to) in edges.iter().flat_map(|(from, all)| all.iter().map(move |to| (from, to))) {
        if let (Some(from), Some(to)) = (room(from), room(to)) {
            add(from, to);
        }
    }
    circles::groups(&rooms)
        .into_iter()
        .map(|group| {
            let names: Vec<_> = group.into_iter().collect();
            let way = circles::shortest(&rooms, &names[0]).unwrap_or_default();
            (format!("room circle  {}", names.join(" ")), way.join(" → "))
        })
        .collect()
}

/// Finds the parts of a room that import a part below their own row, and parts without a row.
fn order(project: &Project, edges: &Edges) -> Vec<String> {
    let mut found = BTreeSet::new();
    for (from, to) in edges.iter().flat_map(|(from, all)| all.iter().map(move |to| (from, to))) {
        let (Some(own), Some(part)) = (room(from), from.get(2)) else { continue };
        let (Some(rows), Some(other)) = (project.table.parts(own), to.get(2)) else { continue };
        if room(to) != Some(own) || part == other {
            continue;
        }
        match (rows.get(part), rows.get(other)) {
            (Some(row), Some(below)) if below > row => {
                found.insert(format!("order   src/{own}/: {part} imports {other}"));
            }
            (Some(_), Some(_)) => {}
            (row, _) => {
                let without = if row.is_none() { part } else { other };
                found.insert(format!("no row  src/{own}/: {without}"));
            }
        }
    }
    found.into_iter().collect()
}

fn circles(project: &Project, edges: &Edges) -> Found {
    let mut found = Found::new();
    for (level, graph) in edges::levels(&project.sources, edges) {
        // The cycles between rooms have their own lines.
        if level == ["crate"] {
            continue;
        }
        for node in graph.keys() {
            if let Some(way) = circles::shortest(&graph, node) {
                let way: Vec<_> = way.iter().map(|node| last(node)).collect();
                found.insert(format!("circle  {node}"), way.join(" → "));
            }
        }
    }
    found
}

fn last(path: &str) -> &str {
    let end = path.trim_end_matches('/').rfind('/').map_or(0, |slash| slash + 1);
    &path[end..]
}

fn impls(project: &Project, names: &Names) -> Vec<String> {
    let mut found = Vec::new();
    for source in &project.sources {
        for (scope, path) in &source.mentions.impls {
            let elsewhere = names.resolve(scope, path).iter().any(|target| match target {
                Target::Item(module) => names.file(module) != Some(&source.path),
                Target::Module(_) => false,
            });
            if elsewhere {
                found.push(format!("impl    {}: {}", source.path, path[path.len() - 1]));
            }
        }
    }
    found
}

fn twice(project: &Project) -> Vec<String> {
    let mut types: BTreeMap<&str, BTreeMap<&Module, &str>> = BTreeMap::new();
    for source in &project.sources {
        for declared in source.declared.iter().filter(|declared| declared.kind == Kind::Type) {
            types.entry(&declared.name).or_default().insert(&declared.scope, &source.path);
        }
    }
    types
        .into_iter()
        .filter(|(_, modules)| modules.len() > 1)
        .map(|(name, modules)| {
            let files: BTreeSet<_> = modules.into_values().collect();
            let files: Vec<_> = files.into_iter().collect();
            format!("twice   {name}: {}", files.join(" "))
        })
        .collect()
}

fn door(project: &Project) -> Vec<String> {
    let door = project.sources.iter().find(|source| source.path == DOOR);
    let names = door.map_or(&[][..], |door| &door.public);
    let too_many = names.iter().filter(|_| names.len() > 1);
    too_many.map(|name| format!("public  {DOOR}: {name}")).collect()
}

/// Returns what exists beside the rooms, and the rooms that do not exist.
fn strangers(project: &Project) -> Vec<String> {
    let mut found = Vec::new();
    for source in &project.sources {
        if let Some(room) = room(&source.module)
            && !project.table.has(room)
        {
            let path = source.path.trim_start_matches("src/");
            let path = path.find('/').map_or(path, |slash| &path[..=slash]);
            found.push(format!("no room src/{path}"));
        }
    }
    let there = |path: &String| project.sources.iter().any(|source| source.path.starts_with(path));
    found.extend(
        project.table.paths().filter(|path| !there(path)).map(|path| format!("missing {path}")),
    );
    found
}
