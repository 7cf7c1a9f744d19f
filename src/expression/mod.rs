//! Expressions: CEL in the string leaves of actions, and without `${…}` in `when` and `expect`.
//!
//! ```text
//!  text ── Expression::parse / Template::parse ──► parsed once, with what it reads
//!                                                    └── evaluate(&Scope) ──► JSON value
//! ```
//!
//! # Guarantees
//! - One pass: the result of an expression is a value, and is never parsed as an expression again.
//! - What an expression reads is known before the expression is evaluated: a variable, a function
//!   or a step that does not exist is found when the saga is accepted.
//! - The work of an expression and the size of its result are bounded before it runs ([`cost`]),
//!   since CEL here has no cost limit of its own.
//! - A field of a value that has no fields is an error, as in the CEL specification. The
//!   interpreter alone would return `false`.
//! - Equal inputs give equal results: a map is iterated in the order of its keys ([`strict`]), and
//!   a value is read the same before it is stored and after ([`convert`]).
//!
//! # Errors
//! Each error is one line that begins with the expression: `${params.amuont}: there is no field
//! amuont`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the interpreter's enums are not ours, and grow"
)]

pub mod check;
mod convert;
pub mod cost;
mod functions;
mod guarded;
mod lexer;
mod numbers;
mod pattern;
pub mod program;
pub mod reads;
mod rules;
pub mod scope;
mod strict;
pub mod template;
