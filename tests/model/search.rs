//! A breadth-first search through every world that a shape can reach.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
};

use saga_operator::world::{self, Property, Violation, World, WorldMove};

use crate::{coverage::Coverage, shapes::Shape, show};

/// A hasher for fingerprints. A fingerprint is already a hash, so this hasher only folds it.
#[derive(Default)]
pub struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64 ^ (value >> 64) as u64;
    }
}

pub type Known = HashMap<u128, u32, BuildHasherDefault<Folded>>;

#[derive(Default)]
pub struct Found {
    pub states: usize,
    pub depth: usize,
    /// The shortest paths to violations.
    pub violations: Vec<String>,
    /// The violated properties, in the order of their distance from the start.
    pub properties: Vec<Property>,
    pub coverage: Coverage,
}

/// The stored data of a world: its predecessor, the move that led to it, and its successor in a run
/// without further faults.
struct Node {
    from: u32,
    by: WorldMove,
    fair: u32,
    depth: u32,
}

const NOWHERE: u32 = u32::MAX;

/// Explores every world of a shape, until `most` violations are found.
pub fn search(shape: &Shape, most: usize) -> Found {
    let mut found = Found::default();
    let mut known = Known::default();
    let mut nodes: Vec<Node> = Vec::new();
    let mut frontier: VecDeque<(u32, World)> = VecDeque::new();
    let first = World::new(shape.saga.clone(), shape.rules.clone());
    known.insert(world::fingerprint(&first), 0);
    nodes.push(Node { from: NOWHERE, by: WorldMove::Restart(0), fair: NOWHERE, depth: 0 });
    frontier.push_back((0, first));
    while let Some((number, world)) = frontier.pop_front() {
        let fair = world::fair_move(&world);
        if fair.is_none()
            && let Some(wrong) = world::wrong_at_rest(&world)
        {
            found.properties.push(wrong.property);
            found.violations.push(story(shape, &nodes, number, None, &[wrong]));
        }
        found.coverage.count(&world);
        let depth = nodes[number as usize].depth;
        found.depth = found.depth.max(depth as usize);
        let mut met_fair = false;
        world::expand(&world, &mut |next, step| {
            if !step.violations.is_empty() {
                if found.violations.len() < most {
                    let all = &step.violations;
                    found.properties.extend(all.iter().map(|violation| violation.property));
                    found.violations.push(story(shape, &nodes, number, Some(next), all));
                }
                return;
            }
            let fresh = nodes.len() as u32;
            let target = *known.entry(world::fingerprint(&step.world)).or_insert(fresh);
            if target == fresh {
                nodes.push(Node { from: number, by: next, fair: NOWHERE, depth: depth + 1 });
                frontier.push_back((fresh, step.world));
            }
            if Some(next) == fair {
                met_fair = true;
                nodes[number as usize].fair = target;
            }
        });
        if fair.is_some() && !met_fair && found.violations.is_empty() {
            found.violations.push(format!("the fair move {fair:?} is no move"));
        }
        if found.violations.len() >= most {
            break;
        }
    }
    found.states = nodes.len();
    if found.violations.is_empty()
        && let Some(number) = never_rests(&nodes)
    {
        found.properties.push(Property::ComesToRest);
        found
            .violations
            .push(format!("never comes to rest:\n{}", story(shape, &nodes, number, None, &[])));
    }
    found
}

/// Returns a world from which a run without further faults never comes to rest, if there is one.
fn never_rests(nodes: &[Node]) -> Option<u32> {
    let mut rests = vec![0_u8; nodes.len()];
    for start in 0..nodes.len() {
        let (mut path, mut at) = (Vec::new(), start);
        loop {
            match rests[at] {
                2 => break,
                1 => return Some(at as u32),
                _ => {}
            }
            rests[at] = 1;
            path.push(at);
            if nodes[at].fair == NOWHERE {
                break;
            }
            at = nodes[at].fair as usize;
        }
        for place in path {
            rests[place] = 2;
        }
    }
    None
}

/// Returns the text of the shortest path to a world, and of the violations there.
fn story(
    shape: &Shape,
    nodes: &[Node],
    number: u32,
    last: Option<WorldMove>,
    violations: &[Violation],
) -> String {
    let mut moves = Vec::new();
    moves.extend(last);
    let mut at = number;
    while nodes[at as usize].from != NOWHERE {
        moves.push(nodes[at as usize].by);
        at = nodes[at as usize].from;
    }
    moves.reverse();
    let mut world = World::new(shape.saga.clone(), shape.rules.clone());
    let mut lines = vec![format!("{}", shape.name)];
    for next in &moves {
        let Some(step) = world::apply(&world, next) else {
            lines.push(format!("  {next:?}: cannot be replayed"));
            break;
        };
        world = step.world;
        lines.push(show::line(&world, next, &step.events));
    }
    lines.extend(
        violations
            .iter()
            .map(|violation| format!("  BROKEN {:?}: {}", violation.property, violation.what)),
    );
    lines.join("\n")
}
