//! The faults of replicas: when they may happen, and what they do.

use jiff::SignedDuration;

use super::{
    clocks, replica,
    state::{
        fault::ReplicaFault,
        reconcile::Cursor,
        replica::{Halted, Life},
        world::World,
    },
};

/// Returns whether a fault of this kind may happen now.
pub(super) fn may_happen(world: &World, fault: ReplicaFault) -> bool {
    let left = world.faults.len() < world.rules.faults;
    left && world.rules.fault_kinds.contains(&fault)
        && !(world.rules.each_fault_once && world.faults.contains(&fault))
}

pub(super) fn strike(world: &mut World, number: usize, fault: ReplicaFault) -> Option<()> {
    if !may_happen(world, fault) {
        return None;
    }
    let now = world.now;
    match fault {
        ReplicaFault::Crash => replica::crash(world, number)?,
        ReplicaFault::Freeze => {
            let replica = world.replicas.get_mut(number).filter(|replica| replica.is_up())?;
            let cursor = Cursor {
                version: 0,
                written: None,
                executor: replica.executor,
                ahead: SignedDuration::ZERO,
            };
            replica.life =
                Life::Halted(Halted { since: now, how: fault, rest: Vec::new(), cursor });
            replica::stop_renewals(world, number, fault);
        }
        ReplicaFault::Lapse => replica::lapse(world, number, now)?,
        ReplicaFault::SetAhead | ReplicaFault::SetBack => clocks::set_clock(world, number, fault)?,
        ReplicaFault::Deafen => replica::break_watches(world, number)?,
        // A reconcile that has not begun cannot be stalled, and nothing can be refused to it.
        ReplicaFault::Stall | ReplicaFault::Refuse => return None,
    }
    world.faults.push(fault);
    Some(())
}
