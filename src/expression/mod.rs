//! Expressions: CEL in the string leaves of actions, and by itself in `when` and `expect`.
//!
//! ```text
//!  text ── Expression::parse / Template::parse ──► parsed once, with what it reads
//!                                                    └── evaluate(&Scope) ──► JSON value
//! ```
//!
//! # Guarantees
//! - One pass: what an expression gives is a value, and is never parsed as an expression again.
//! - What it reads is known before it is evaluated: a variable, a function or a step that is not
//!   there is found when the saga is accepted.
//! - Its work and the size of what it gives are bounded before it runs ([`cost`]), since CEL here
//!   has no cost limit of its own.
//! - A field of what has no fields is an error, as in the CEL specification; the interpreter by
//!   itself would say `false`.
//! - Equal inputs give equal results: maps are gone through in the order of their keys
//!   ([`strict`]), and a value gives the same before it is stored and after ([`convert`]).
//!
//! # Errors
//! One line that begins with the expression: `${params.amuont}: No such key: amuont`.

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
pub mod scope;
mod strict;
pub mod template;
