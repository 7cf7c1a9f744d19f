//! A saga as the API server holds it. One bad object cannot make the read of other sagas fail.
//!
//! A list or a watch fails as a whole if one of its objects does not parse. So nothing that a user
//! can write is parsed while the list is read: the API server accepts objects that are nested
//! deeper than the parser allows, and repeats their depth in the managed fields.
//!
//! One large object cannot fill the memory either: a spec above a bound is not kept, and neither is
//! any metadata that is not read.

mod large;
mod metadata;
mod part;
mod saga;
mod spec;
mod status;
#[cfg(test)]
mod tests;

#[cfg(feature = "operator")]
pub(crate) use self::saga::{name, namespace};
pub use self::{
    large::LargeSpec,
    part::Decoded,
    saga::{StoredSaga, WholeSaga},
    status::{Strangers, read_status, salvage, with_strangers},
};
