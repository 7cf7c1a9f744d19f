//! Statuses that no operator of this version wrote: edited by hand, restored from elsewhere, or
//! written by another version.

use proptest::{prelude::*, sample::Index};
use saga_operator::{
    api::{SagaStatus, StoredSaga, names::AttemptId, status::active_attempts},
    engine::{invariants, plan},
    model::{
        input::{PlanInput, StoredFacts},
        observation::{Absence, ChildState, End, Failure, Observations, Reached, Unavailable},
        plan::{Effect, StatusWrite},
    },
};
use serde_json::{Value, json};

use crate::{properties::for_all, random::Case, random_made::case, script::seconds, world::World};

/// One change that a user makes to a stored status.
#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, Value),
    Delete(Index),
    /// Copies one value over another value.
    Copy(Index, Index),
    /// Removes an item from a list, or duplicates the item.
    Item(Index, bool),
}

fn value() -> impl Strategy<Value = Value> {
    let words = [
        "Pending",
        "Running",
        "Paused",
        "Retrying",
        "Failed",
        "Compensating",
        "Compensated",
        "CompensationFailed",
        "Completed",
        "Succeeded",
        "Unknown",
        "True",
        "",
        "s0",
        "s1",
        "process-0",
        "process-7",
        "éééééééééééééééééééééééééééééé",
    ];
    let instants = [
        "2026-01-01T00:00:00.000000Z",
        "2026-01-01T00:00:05.500000Z",
        "2027-01-01T00:00:00.000000Z",
        "0000-01-01T00:00:00.000000Z",
        "9999-12-30T22:00:00.999999Z",
        "1969-12-31T23:59:59.999999Z",
    ];
    prop_oneof![
        4 => prop::sample::select(words.to_vec()).prop_map(|word| json!(word)),
        4 => prop::sample::select(instants.to_vec()).prop_map(|instant| json!(instant)),
        4 => prop::sample::select(vec![
            -1, 0, 1, 2, 3, 99, i64::from(i32::MAX), 1 << 51, i64::MAX - 1, i64::MAX, i64::MIN,
        ])
        .prop_map(|number| json!(number)),
        2 => any::<bool>().prop_map(|value| json!(value)),
        1 => Just(Value::Null),
        1 => Just(json!({})),
        1 => Just(json!([])),
        1 => Just(json!("x".repeat(5000))),
    ]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        6 => (any::<Index>(), value()).prop_map(|(at, value)| Mutation::Set(at, value)),
        2 => any::<Index>().prop_map(Mutation::Delete),
        3 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Copy(from, to)),
        1 => (any::<Index>(), any::<bool>()).prop_map(|(at, twice)| Mutation::Item(at, twice)),
    ]
}

/// Collects the pointers to a value and to all values in it.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), field)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(place, item)| (place.to_string(), item)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
    };
    for (name, child) in children {
        let at = format!("{at}/{name}");
        pointers(child, &at, found);
        found.push(at);
    }
}

fn mutate(status: &mut Value, mutation: &Mutation) {
    let mut all = Vec::new();
    pointers(status, "", &mut all);
    if all.is_empty() {
        return;
    }
    let pick = |at: &Index| all[at.index(all.len())].as_str();
    match mutation {
        Mutation::Set(at, value) => *status.pointer_mut(pick(at)).unwrap() = value.clone(),
        Mutation::Copy(from, to) => {
            let value = status.pointer(pick(from)).unwrap().clone();
            *status.pointer_mut(pick(to)).unwrap() = value;
        }
        Mutation::Delete(at) => {
            let (parent, name) = pick(at).rsplit_once('/').unwrap();
            if let Value::Object(fields) = status.pointer_mut(parent).unwrap() {
                fields.remove(name);
            }
        }
        Mutation::Item(at, twice) => {
            let lists: Vec<_> = all
                .iter()
                .filter(|at| status.pointer(at).is_some_and(Value::is_array))
                .cloned()
                .collect();
            if lists.is_empty() {
                return;
            }
            let Value::Array(items) = status.pointer_mut(&lists[at.index(lists.len())]).unwrap()
            else {
                return;
            };
            match (items.first().cloned(), twice) {
                (Some(item), true) => items.push(item),
                (Some(_), false) => drop(items.remove(0)),
                (None, _) => {}
            }
        }
    }
}

fn state() -> impl Strategy<Value = Option<ChildState>> {
    let failure = (0..3_u8, any::<bool>(), any::<bool>(), any::<u64>()).prop_map(
        |(reached, permanent, disrupted, wait)| {
            let reached =
                [Reached::Nothing, Reached::Rejected, Reached::Answer][usize::from(reached)];
            let message = "no".into();
            ChildState::Ended(End::Failed(Failure {
                reached,
                permanent,
                exit_code: None,
                disrupted,
                retry_after: Some(seconds(wait)),
                message,
            }))
        },
    );
    let absence =
        (any::<bool>(), any::<bool>(), 0..60_u64).prop_map(|(seen, refused, known_for)| {
            ChildState::Absent(Absence { seen, refused, known_for: seconds(known_for) })
        });
    let active = (any::<bool>(), 0..9_u64).prop_map(|(pod, age)| {
        let uid = pod.then(|| "uid".into());
        ChildState::Active { uid, age: seconds(age), detail: "it runs".into(), trouble: None }
    });
    prop_oneof![
        Just(None),
        Just(Some(ChildState::Ended(End::Succeeded(None)))),
        Just(Some(ChildState::Ended(End::Unknown { message: "lost".into(), retry_after: None }))),
        Just(Some(ChildState::Unavailable(Unavailable::Refused {
            message: "quota".into(),
            retry_in: seconds(1),
            known_for: seconds(5)
        }))),
        failure.prop_map(Some),
        absence.prop_map(Some),
        active.prop_map(Some),
    ]
}

/// A saga at some point of its life, the changes to its status, and the observations after the
/// changes.
#[derive(Clone, Debug)]
struct Forgery {
    case: Case,
    at: usize,
    mutations: Vec<Mutation>,
    states: Vec<Option<ChildState>>,
    deleting: bool,
}

fn forgery() -> impl Strategy<Value = Forgery> {
    let seen = (prop::collection::vec(state(), 24), prop::bool::weighted(0.2));
    (case(), 0..30_usize, prop::collection::vec(mutation(), 1..4), seen).prop_map(
        |(case, at, mutations, (states, deleting))| Forgery {
            case,
            at,
            mutations,
            states,
            deleting,
        },
    )
}

impl Forgery {
    fn world(&self) -> World {
        let mut world = self.case.world();
        world.run_until(|world| world.writes >= self.at);
        let mut status = world.raw.clone();
        for mutation in &self.mutations {
            mutate(&mut status, mutation);
        }
        world.forge(status);
        world
    }

    /// Returns the observations of the active attempts. An attempt may have none.
    fn children(&self, status: &SagaStatus) -> Observations {
        let ids = active_attempts(status).map(|(id, _)| id);
        ids.zip(self.states.iter().cycle())
            .filter_map(|(id, state)| Some((id, state.clone()?)))
            .collect()
    }
}

#[test]
fn a_forged_status_gives_a_legal_plan_or_is_held() {
    for_all(200, forgery(), |forgery| {
        let mut world = forgery.world();
        world.deleting = forgery.deleting;
        let children = forgery.children(&world.status());
        let executor = world.executor();
        let seen = world.seen(&children, &executor);
        let first = plan(&world.saga, &seen);
        let begins = |effects: &[Effect]| -> Vec<AttemptId> {
            let begun = effects.iter().filter_map(|effect| match effect {
                Effect::Begin { identity, .. } => Some(identity.attempt.clone()),
                Effect::Ask { .. }
                | Effect::Stop(_)
                | Effect::Sweep
                | Effect::Delete
                | Effect::Publish(_)
                | Effect::TakeAway { .. } => None,
            });
            begun.collect()
        };
        let begun = begins(first.drafted_effects());
        let Some(write) = &first.status else { return Ok(()) };
        let stored = match write {
            StatusWrite::Whole(status) => stored(&world, &json!(status)),
            StatusWrite::Verdict(status) => {
                let mut raw = world.raw.clone();
                raw["message"] = json!(status.message);
                raw["conditions"] = json!(status.conditions);
                stored(&world, &raw)
            }
        };
        if matches!(write, StatusWrite::Verdict(_)) && stored.status != world.stored.status {
            // The part that could not be read was in the old conditions, and the verdict replaced
            // them.
            return Ok(());
        }
        let held = |status: &SagaStatus| {
            status.conditions.iter().any(|condition| {
                condition.type_ == "Stalled"
                    && ["InvalidStatus", "SpecChanged"].contains(&condition.reason.as_str())
            })
        };
        if held(stored.status.as_ref().unwrap_or(&stored.salvaged)) {
            prop_assert_eq!(begun, Vec::new());
        } else {
            let status = stored.status.as_ref().unwrap();
            prop_assert_eq!(
                invariants::check(world.saga.as_ref().unwrap(), status),
                Vec::<String>::new()
            );
            for id in begun {
                prop_assert!(
                    active_attempts(status).any(|(active, _)| active == id),
                    "{} begins without an intent",
                    id
                );
            }
        }
        let (status, salvaged) = (&stored.status, &stored.salvaged);
        let again = StoredFacts { status, salvaged, ..seen.stored };
        let second = plan(&world.saga, &PlanInput { stored: again, ..seen.clone() });
        prop_assert_eq!(second.status, None);
        Ok(())
    });
}

#[test]
fn a_saga_with_a_forged_status_comes_to_rest_as_well() {
    for_all(60, forgery(), |forgery| {
        let mut world = forgery.world();
        // The world itself asserts the absence of panics, endless changes and endless immediate
        // requeues.
        world.run_until(|_| false);
        Ok(())
    });
}

fn stored(world: &World, status: &Value) -> StoredSaga {
    serde_json::from_value(
        json!({"metadata": {"name": "order-1042"}, "spec": world.spec, "status": status}),
    )
    .unwrap()
}
