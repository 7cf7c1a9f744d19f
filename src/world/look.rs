//! One reconcile of a replica: gather, plan, record, perform. Also the halt of a reconcile.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    Happened, clocks,
    gather::{self, pod_number},
    laws, perform, process,
    state::{
        fault::{Fault, Halt},
        law::{Broken, Law},
        look::{Act, Cursor, Look, Start},
        object::{Object, SPEC_HASH},
        process::{Halted, Life, executor_id},
        world::{Who, World},
    },
    versions::{self, View},
};
use crate::{
    clock::{between, later},
    coordination::{
        executor_lease::Tenure,
        fence::{Freshness, freshness},
    },
    engine::plan,
    model::{
        input::{Precheck, Seen},
        observation::Observed,
        plan::{Acknowledged, Effect, Finalizer, Plan, StatusWrite},
        saga::Work,
    },
};

/// Returns whether this replica may reconcile now, with a copy that is `staleness` versions old.
pub(super) fn may_look(world: &World, number: usize, staleness: usize) -> bool {
    let process =
        world.processes.get(number).filter(|process| process.is_up() && process.triggered);
    let copy = world.copies.back(staleness).filter(|_| staleness <= world.rules.staleness);
    !world.object().gone
        && process.zip(copy).is_some_and(|(process, copy)| is_fresh(copy, process.floor))
}

/// Returns whether a replica that knows the version `floor` decides from the copy.
pub(super) fn is_fresh(copy: &Object, floor: u64) -> bool {
    // The texts of the versions are compared only if the numbers do not suffice.
    copy.version >= floor
        || freshness(Some(&floor.to_string()), &copy.version.to_string()) == Freshness::Fresh
}

/// Returns whether any replica would decide from the copy.
pub(super) fn may_be_read(world: &World, copy: &Object) -> bool {
    world.processes.iter().any(|process| is_fresh(copy, process.floor))
}

/// Gathers the observations and makes the plan. Returns `None` if nothing triggered the replica, or
/// if the copy is older than a version that the replica knows.
pub(super) fn decide(
    world: &mut World,
    number: usize,
    staleness: usize,
    broken: &mut Vec<Broken>,
) -> Option<Look> {
    if !may_look(world, number, staleness) {
        return None;
    }
    let copy = Arc::clone(world.copies.back(staleness)?);
    let unread = !versions::view(world, number, &copy).versions.words.is_empty();
    // If a saga cannot be read, nothing is known of its attempts.
    let children = if unread { Observed::new() } else { gather::gather(world, number, &copy) };
    let View { status, remains, versions } = versions::view(world, number, &copy);
    let executor = world.processes.get(number)?.executor;
    let id = executor_id(executor);
    let (room, circuits, keys_from, precheck) =
        (BTreeMap::new(), BTreeMap::new(), BTreeMap::new(), Precheck::default());
    let seen = Seen {
        generation: copy.generation,
        deleting: copy.deleting,
        terminating: false,
        finalizer: copy.finalizer,
        parent_holds: false,
        spec_hash: SPEC_HASH,
        deletion_policy: copy.saga().deletion_policy,
        status,
        remains,
        asked: &copy.asked,
        handled: copy.handled,
        keys_from: &keys_from,
        children: &children,
        leftovers: false,
        precheck: &precheck,
        patch_alone: false,
        executor: &id,
        skew: clocks::skew(world, number),
        room: &room,
        circuits: &circuits,
        versions,
        draining: false,
        now: clocks::shown(world, number),
    };
    let plan = plan(&copy.saga, &seen);
    let wake = plan.wake.map(|wake| clocks::when_shown(world, number, wake));
    if staleness == 0 {
        laws::plan(&copy, &seen, &plan, broken);
        // Only expressions could give two plans for equal inputs.
        let is_equal =
            !copy.saga().has_expressions() || crate::engine::plan(&copy.saga, &seen) == plan;
        laws::must(broken, is_equal, Law::Consistent, || "equal inputs give two plans".into());
    }
    let acts = acts(world, number, plan);
    let ahead = clocks::clock(world, number).ahead;
    let process = world.processes.get_mut(number)?;
    process.floor = process.floor.max(copy.version);
    process.wake = [wake, process.view.again].into_iter().flatten().min();
    // If the instant of the wake-up has already come, the replica reconciles at once.
    process.triggered = staleness > 0 || wake.is_some_and(|wake| wake <= world.now);
    Some(Look { acts, cursor: Cursor { version: copy.version, written: None, executor, ahead } })
}

pub(crate) fn acts(world: &World, number: usize, plan: Plan) -> Vec<Act> {
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

pub(crate) fn act(world: &World, number: usize, effect: Effect) -> Option<Act> {
    Some(match effect {
        Effect::Begin { identity, intended, time_limit, uid, .. } => {
            let key = identity.key.rsplit('/').next().and_then(|last| last.parse().ok());
            Act::Begin(Start {
                who: world.who(&identity.attempt)?,
                key: key.unwrap_or(-1),
                intended: clocks::thought(world, number, intended),
                time_limit,
                object: uid.as_deref().and_then(pod_number),
            })
        }
        Effect::Stop(id) => Act::Stop(world.who(&id)?),
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
    look: Look,
    halt: Option<Halt>,
    happened: &mut Vec<Happened>,
    broken: &mut Vec<Broken>,
) -> Option<()> {
    let Look { acts, mut cursor } = look;
    let mut done = 0_usize;
    let mut acts = acts.into_iter();
    while let Some(act) = acts.next() {
        if let Some(Halt { how, .. }) = halt.filter(|halt| act.matters() && halt.after == done) {
            world.faults.push(how);
            if how == Fault::Crash {
                return process::crash(world, number);
            }
            if how == Fault::Refuse {
                refuse_creation(world, number, act.begins()?)?;
                return carry_out(
                    world,
                    number,
                    Look { acts: acts.collect(), cursor },
                    None,
                    happened,
                    broken,
                );
            }
            let rest = std::iter::once(act).chain(acts).filter(Act::matters).collect();
            let process = world.processes.get_mut(number)?;
            process.life = Life::Halted(Halted { since: world.now, how, rest, cursor });
            stand_still(world, number, how);
            return Some(());
        }
        done = done.saturating_add(usize::from(act.matters()));
        if !perform::carry_out_one(world, number, act, &mut cursor, happened, broken) {
            break;
        }
    }
    // The reconcile has no act at the place of the halt.
    halt.is_none().then_some(())
}

/// Refuses the creation of a Pod. Returns `None` if the attempt creates none or has already begun.
fn refuse_creation(world: &mut World, number: usize, who: Who) -> Option<()> {
    const WAIT: Duration = Duration::from_secs(1);
    let now = world.now;
    let operation = world.object().saga().steps.get(who.place)?.operation(who.direction)?;
    if matches!(operation.work, Work::Http(_) | Work::Approval(_) | Work::Wait(_))
        || world.trials.iter().any(|trial| trial.who == who)
    {
        return None;
    }
    let process = world.processes.get_mut(number)?;
    process.known(who, now).refused = Some(later(now, WAIT));
    process.triggered = true;
    Some(())
}

/// Ends the renewals of the Lease if the replica is frozen.
pub(super) fn stand_still(world: &mut World, number: usize, how: Fault) {
    let now = world.now;
    let Some(executor) = world.processes.get(number).map(|process| process.executor) else {
        return;
    };
    if how == Fault::Freeze {
        process::end_executor(world, executor, now);
    }
}

/// Resumes a replica that was halted.
pub(super) fn resume(
    world: &mut World,
    number: usize,
    happened: &mut Vec<Happened>,
    broken: &mut Vec<Broken>,
) -> Option<()> {
    let process = world.processes.get_mut(number)?;
    let Life::Halted(Halted { since, how, rest, cursor }) =
        std::mem::replace(&mut process.life, Life::Up)
    else {
        return None;
    };
    process.triggered |= process.wake.is_some_and(|wake| wake <= world.now);
    let executor = process.executor;
    if how == Fault::Freeze {
        if Tenure::new(instant(world, since)).holds(instant(world, world.now)) {
            if let Some(executor) = world.executors.get_mut(executor) {
                executor.lapsed = None;
            }
        } else {
            process::lapse(world, number, since)?;
        }
    }
    carry_out(world, number, Look { acts: rest, cursor }, None, happened, broken)
}

/// Returns the instant of the monotonic clock for an instant of the simulated time.
pub(super) fn instant(world: &World, at: Timestamp) -> std::time::Instant {
    let dawn = Timestamp::from_second(super::state::world::DAWN).unwrap_or_default();
    world.rules.origin + between(dawn, at)
}
