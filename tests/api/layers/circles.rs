//! Cycles in a graph.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The nodes to which each node has an edge.
pub type Graph = BTreeMap<String, BTreeSet<String>>;

/// Returns a shortest cycle through a node, if there is one.
pub fn shortest(graph: &Graph, node: &str) -> Option<Vec<String>> {
    let mut from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut next = VecDeque::from([node]);
    while let Some(at) = next.pop_front() {
        for to in graph.get(at).into_iter().flatten() {
            if to == node {
                return Some(way(&from, node, at));
            }
            if !from.contains_key(to.as_str()) {
                from.insert(to, at);
                next.push_back(to);
            }
        }
    }
    None
}

fn way(from: &BTreeMap<&str, &str>, node: &str, last: &str) -> Vec<String> {
    let mut way = vec![node.to_owned()];
    let mut at = last;
    while at != node {
        way.push(at.to_owned());
        at = from[at];
    }
    way.push(node.to_owned());
    way.reverse();
    way
}

/// Returns the sets of nodes that reach each other.
pub fn groups(graph: &Graph) -> BTreeSet<BTreeSet<String>> {
    let reach: BTreeMap<_, _> = graph.keys().map(|node| (node, reached(graph, node))).collect();
    reach
        .iter()
        .filter(|(node, reached)| reached.contains(**node))
        .map(|(node, reached)| {
            let mutual = |other: &&String| reach.get(*other).is_some_and(|way| way.contains(*node));
            reached.iter().filter(mutual).cloned().collect()
        })
        .collect()
}

fn reached(graph: &Graph, node: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next = vec![node];
    while let Some(at) = next.pop() {
        for to in graph.get(at).into_iter().flatten() {
            if reached.insert(to.clone()) {
                next.push(to);
            }
        }
    }
    reached
}
