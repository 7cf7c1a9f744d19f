//! The saga operator: business transactions and rollouts as Kubernetes resources.
//!
//! A [`api::Saga`] holds steps. The operator runs them in the order of their dependencies, tries
//! them again as their policy says, and where one fails for good holds the saga for a person or
//! undoes what was done in reverse order.
//!
//! ```text
//!  kubectl apply ──► Saga ──► controller/observe    (reads: children, parent, objects)
//!                     ▲               ▼
//!                     │          engine::plan       (decides, pure)
//!                     │               ▼
//!      status, events │       controller/record     (intent in the status)
//!                     │               ▼
//!                     └────── controller/effects    ──► pods, requests, objects
//! ```
//!
//! `ARCHITECTURE.md` says what each room holds and what it may import.
//!
//! # Guarantees
//! An attempt is recorded before anything leaves the process, under the version of the saga that
//! the decision was made on. Attempts are at-least-once with a stable key; their records are
//! exactly-once.

pub mod api;
pub mod clock;
pub mod controller;
pub mod coordination;
pub mod digest;
pub mod egress;
pub mod engine;
pub mod expression;
pub mod fault;
pub mod manifest;
pub mod model;
pub mod mutants;
pub mod objects;
pub mod plugin;
pub mod service;
pub mod text;
pub mod validate;
pub mod world;
