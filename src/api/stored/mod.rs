//! A saga as the API server holds it, read in a way that cannot fail because of one bad object.
//!
//! A list or a watch fails as a whole where one of its objects does not parse. So nothing here that
//! a user can fill is parsed on the way: the API server takes objects that are nested deeper than
//! the parser goes, and repeats their depth in the managed fields.

mod metadata;
mod part;
mod saga;
mod spec;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use self::saga::{name, namespace};
pub use self::{
    part::Part,
    saga::StoredSaga,
    status::{Strangers, read_status, what_remains, with_strangers},
};
