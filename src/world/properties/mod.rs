//! The properties that the model checks: what must hold in every world, after every write and for
//! every effect. The properties judge by what really happened, not by what the engine says.

mod begins;
mod effects;
mod ends;
mod must;
mod plans;
mod requests;
mod settled;
mod shown;
mod versions;
mod writes;

pub use self::ends::wrong_at_rest;
pub(super) use self::{
    effects::{creates, deletes, sends},
    ends::{release, world},
    must::must,
    plans::plan,
    shown::shown,
    versions::act,
    writes::write,
};
