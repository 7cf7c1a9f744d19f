//! The rules of this room that a mutant can break, each under one name.
//!
//! The rules stand in [`kept`]. A build with the feature `twins` takes them from `mutants`, where
//! each rule asks first whether it is broken. A caller writes `rules::name` and sees neither.

mod kept;
#[cfg(feature = "twins")]
mod mutants;

#[cfg(not(feature = "twins"))]
pub(in crate::expression) use self::kept::*;
#[cfg(feature = "twins")]
pub(in crate::expression) use self::mutants::*;
