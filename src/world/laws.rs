//! What must hold in every world, after every write and for every effect. The laws judge by what
//! really happened, not by what the engine says.

use super::state::law::{Broken, Law};
mod begins;
mod effects;
pub(super) mod ends;
mod shown;
mod versions;
mod writes;

pub(super) use self::{
    effects::{creates, deletes, sends},
    ends::{release, world},
    shown::shown,
    versions::act,
    writes::{plan, write},
};

/// Records that a law is broken, unless it holds.
pub(super) fn must(broken: &mut Vec<Broken>, holds: bool, law: Law, what: impl FnOnce() -> String) {
    if !holds {
        broken.push(Broken::new(law, what()));
    }
}
