//! One reconcile of a replica: observe, plan, record, perform. Also the halt of a reconcile.

use std::sync::Arc;

use super::{
    clocks, observe, perform, properties, replica,
    state::{
        attempt::AttemptRef,
        child::pod_number,
        circumstances::Circumstances,
        event::Event,
        fault::{Halt, ReplicaFault},
        object::SagaObject,
        property::{Property, Violation},
        reconcile::{Act, Cursor, Reconcile, Start},
        replica::{Halted, Life, executor_id},
        world::World,
    },
    versions::{self, ReadStatus},
};
use crate::{
    coordination::{
        executor_lease::Tenure,
        fence::{VersionOrder, freshness},
    },
    engine::plan,
    model::{
        input::{OpenRequests, PlanInput, StoredFacts, Surroundings, ThisProcess},
        observation::Observations,
        plan::{Acknowledged, Effect, Finalizer, Plan, StatusWrite},
        saga::Work,
        versions::Versions,
    },
};

/// Returns whether this replica may reconcile now, with a copy that is `staleness` versions old.
pub(super) fn may_reconcile(world: &World, number: usize, staleness: usize) -> bool {
    let replica = world.replicas.get(number).filter(|replica| replica.is_up() && replica.triggered);
    let copy = world.copies.back(staleness).filter(|_| staleness <= world.rules.staleness);
    !world.object().gone
        && replica.zip(copy).is_some_and(|(replica, copy)| is_fresh(copy, replica.floor))
}

/// Returns whether a replica that knows the version `floor` decides from the copy.
fn is_fresh(copy: &SagaObject, floor: u64) -> bool {
    // The texts of the versions are compared only if the numbers do not suffice.
    copy.version >= floor
        || freshness(Some(&floor.to_string()), &copy.version.to_string()) == VersionOrder::Fresh
}

/// Returns whether any replica would decide from the copy.
pub(super) fn may_be_read(world: &World, copy: &SagaObject) -> bool {
    world.replicas.iter().any(|replica| is_fresh(copy, replica.floor))
}

/// Observes the attempts and makes the plan. Returns `None` if nothing triggered the replica, or
/// if the copy is older than a version that the replica knows.
pub(super) fn decide(
    world: &mut World,
    number: usize,
    staleness: usize,
    violations: &mut Vec<Violation>,
) -> Option<Reconcile> {
    if !may_reconcile(world, number, staleness) {
        return None;
    }
    let copy = Arc::clone(world.copies.back(staleness)?);
    let unread = !versions::read_status(world, number, &copy).versions.words.is_empty();
    // If a saga cannot be read, nothing is known of its attempts.
    let children =
        if unread { Observations::new() } else { observe::observe(world, number, &copy) };
    let ReadStatus { status, salvaged, versions } = versions::read_status(world, number, &copy);
    let executor = world.replicas.get(number)?.executor;
    let id = executor_id(executor);
    let (rules, spec) = (Arc::clone(&world.rules), &copy.spec);
    let around = &rules.circumstances;
    let seen = PlanInput {
        stored: StoredFacts {
            generation: copy.generation,
            deleting: copy.deleting,
            finalizer: copy.finalizer,
            spec_hash: &spec.hash,
            deletion_policy: spec.deletion_policy,
            status,
            salvaged,
            keys_from: &spec.keys_from,
        },
        requests: OpenRequests {
            asked: &copy.asked,
            handled: copy.handled,
            patch_alone: around.patch_alone,
        },
        surroundings: Surroundings {
            children: &children,
            leftovers: around.leftovers,
            terminating: around.terminating,
            parent_holds: around.parent_holds,
            precheck: around.precheck.as_ref(),
        },
        process: process(world, number, around, &id),
        versions: Versions { spec: &spec.unknown, served: around.served.as_ref(), ..versions },
        now: clocks::shown(world, number),
    };
    let plan = plan(&spec.saga, &seen);
    let wake = plan.wake.map(|wake| clocks::when_shown(world, number, wake));
    if staleness == 0 {
        properties::plan(&copy, &seen, &plan, violations);
        // Only expressions could give two plans for equal inputs.
        let is_equal =
            !copy.saga().has_expressions() || crate::engine::plan(&spec.saga, &seen) == plan;
        properties::must(violations, is_equal, Property::Consistent, || {
            "equal inputs give two plans".into()
        });
    }
    let acts = acts(world, number, plan);
    let ahead = clocks::clock(world, number).ahead;
    let replica = world.replicas.get_mut(number)?;
    replica.floor = replica.floor.max(copy.version);
    replica.wake = [wake, replica.cache.again].into_iter().flatten().min();
    // If the instant of the wake-up has already come, the replica reconciles at once.
    replica.triggered = staleness > 0 || wake.is_some_and(|wake| wake <= world.now);
    Some(Reconcile {
        acts,
        cursor: Cursor { version: copy.version, written: None, executor, ahead },
    })
}

/// Returns what a replica may begin.
fn process<'a>(
    world: &World,
    number: usize,
    around: &Circumstances,
    executor: &'a str,
) -> ThisProcess<'a> {
    ThisProcess {
        executor: Some(executor),
        draining: around.draining,
        skew: around.skew.unwrap_or_else(|| clocks::skew(world, number)),
        host_capacity: around.host_capacity.clone(),
        circuits: around.circuits.clone(),
    }
}

fn acts(world: &World, number: usize, plan: Plan) -> Vec<Act> {
    let mut acts = Vec::with_capacity(4);
    let (finalizer, status) = (plan.finalizer, plan.status.clone());
    if finalizer == Finalizer::Add {
        acts.push(Act::AddFinalizer);
    }
    let alone = status.is_none();
    if let Some(StatusWrite::Whole(status) | StatusWrite::Verdict(status)) = status {
        acts.push(Act::Write(Arc::new(Ok(*status))));
    }
    if finalizer == Finalizer::Remove {
        acts.push(Act::RemoveFinalizer { alone });
    }
    acts.extend(
        plan.recorded(&Acknowledged::simulated())
            .into_effects()
            .into_iter()
            .filter_map(|effect| act(world, number, effect)),
    );
    acts
}

fn act(world: &World, number: usize, effect: Effect) -> Option<Act> {
    Some(match effect {
        Effect::Begin { identity, intended, time_limit, uid, .. } => {
            let key = identity.key.rsplit('/').next().and_then(|last| last.parse().ok());
            Act::Begin(Start {
                attempt: world.attempt(&identity.attempt)?,
                key: key.unwrap_or(-1),
                intended: clocks::thought(world, number, intended),
                time_limit,
                object: uid.as_deref().and_then(pod_number),
            })
        }
        Effect::Stop(id) => Act::Stop(world.attempt(&id)?),
        // A child saga is simulated as a Pod: no saga exists that could be asked.
        Effect::Ask { .. } => return None,
        Effect::Sweep => Act::Sweep,
        Effect::Delete => Act::Delete,
        Effect::Publish(notice) => Act::Publish(notice),
        Effect::TakeAway { annotations, handled } => Act::TakeAway { annotations, handled },
    })
}

/// Performs the acts of a reconcile, up to the halt if there is one.
pub(super) fn carry_out(
    world: &mut World,
    number: usize,
    reconcile: Reconcile,
    halt: Option<Halt>,
    events: &mut Vec<Event>,
    violations: &mut Vec<Violation>,
) -> Option<()> {
    let Reconcile { acts, mut cursor } = reconcile;
    let mut done = 0_usize;
    let mut acts = acts.into_iter();
    while let Some(act) = acts.next() {
        if let Some(Halt { how, .. }) = halt.filter(|halt| act.matters() && halt.after == done) {
            world.faults.push(how);
            if how == ReplicaFault::Crash {
                return replica::crash(world, number);
            }
            if how == ReplicaFault::Refuse {
                refuse_creation(world, number, act.begins()?)?;
                return carry_out(
                    world,
                    number,
                    Reconcile { acts: acts.collect(), cursor },
                    None,
                    events,
                    violations,
                );
            }
            let rest = std::iter::once(act).chain(acts).filter(Act::matters).collect();
            let replica = world.replicas.get_mut(number)?;
            replica.life = Life::Halted(Halted { since: world.now, how, rest, cursor });
            replica::stop_renewals(world, number, how);
            return Some(());
        }
        done = done.saturating_add(usize::from(act.matters()));
        if !perform::carry_out_one(world, number, act, &mut cursor, events, violations) {
            break;
        }
    }
    // The reconcile has no act at the place of the halt.
    halt.is_none().then_some(())
}

/// Refuses the creation of a Pod. Returns `None` if the attempt creates none or has already begun.
fn refuse_creation(world: &mut World, number: usize, attempt: AttemptRef) -> Option<()> {
    let operation = world.object().saga().steps.get(attempt.place)?.operation(attempt.direction)?;
    if matches!(operation.work, Work::Http(_) | Work::Approval(_) | Work::Wait(_))
        || world.executions.iter().any(|execution| execution.attempt == attempt)
    {
        return None;
    }
    replica::refuse_creation(world, number, attempt);
    Some(())
}

/// Resumes a replica that was halted.
pub(super) fn resume(
    world: &mut World,
    number: usize,
    events: &mut Vec<Event>,
    violations: &mut Vec<Violation>,
) -> Option<()> {
    let replica = world.replicas.get_mut(number)?;
    let Life::Halted(Halted { since, how, rest, cursor }) =
        std::mem::replace(&mut replica.life, Life::Up)
    else {
        return None;
    };
    replica.triggered |= replica.wake.is_some_and(|wake| wake <= world.now);
    let executor = replica.executor;
    if how == ReplicaFault::Freeze {
        if Tenure::new(world.instant(since)).holds(world.instant(world.now)) {
            if let Some(executor) = world.executors.get_mut(executor) {
                executor.lapsed = None;
            }
        } else {
            replica::lapse(world, number, since)?;
        }
    }
    carry_out(world, number, Reconcile { acts: rest, cursor }, None, events, violations)
}
