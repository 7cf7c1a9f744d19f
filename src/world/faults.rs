//! The faults of replicas: when they may happen, and what they do.

use jiff::SignedDuration;

use super::{
    clocks, look, process,
    state::{
        fault::Fault,
        look::Cursor,
        process::{Halted, Life},
        world::World,
    },
};

/// Returns whether a fault of this kind may happen now.
pub(super) fn may_happen(world: &World, fault: Fault) -> bool {
    let left = world.faults.len() < world.rules.faults;
    left && world.rules.fault_kinds.contains(&fault)
        && !(world.rules.each_fault_once && world.faults.contains(&fault))
}

pub(super) fn strike(world: &mut World, number: usize, fault: Fault) -> Option<()> {
    if !may_happen(world, fault) {
        return None;
    }
    let now = world.now;
    match fault {
        Fault::Crash => process::crash(world, number)?,
        Fault::Freeze => {
            let process = world.processes.get_mut(number).filter(|process| process.is_up())?;
            let cursor = Cursor {
                version: 0,
                written: None,
                executor: process.executor,
                ahead: SignedDuration::ZERO,
            };
            process.life =
                Life::Halted(Halted { since: now, how: fault, rest: Vec::new(), cursor });
            look::stand_still(world, number, fault);
        }
        Fault::Lapse => process::lapse(world, number, now)?,
        Fault::SetAhead | Fault::SetBack => clocks::set_clock(world, number, fault)?,
        Fault::Deafen => process::deafen(world, number)?,
        // A reconcile that has not begun cannot be stalled, and nothing can be refused to it.
        Fault::Stall | Fault::Refuse => return None,
    }
    world.faults.push(fault);
    Some(())
}
