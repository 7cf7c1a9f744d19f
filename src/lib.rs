//! The saga operator: business transactions and rollouts as Kubernetes resources.
//!
//! A [`api::Saga`] lists steps. The operator runs the steps in the order of their dependencies and
//! retries them by their policies. If a step fails for good, the operator holds the saga for a
//! user, or undoes the completed steps in reverse order of their graph.
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
//! `ARCHITECTURE.md` says what each room holds and what it may import. The Cargo feature `operator`
//! (default) gates `controller` and `service`: the other rooms build without them.
//!
//! # Guarantees
//! The status names an attempt before any effect of that attempt leaves the process. The status
//! write carries the resourceVersion that the decision was made on. Attempts are at-least-once with
//! a stable idempotency key; their records are exactly-once.
//!
//! # Glossary
//! One word for one thing, in code, comments, events, metrics and docs:
//!
//! - **step**: one unit of a saga: an action, and optionally the compensation that undoes it.
//! - **attempt**: one try of an action or a compensation, numbered from 1 and never reset.
//! - **intent**: the record in the status that an attempt is about to begin.
//! - **child**: what carries an attempt out: a Pod, a Job, an HTTP request, or a child saga.
//! - **observation**: what a reconcile saw of a child, an object or a parent.
//! - **outcome**: `Succeeded`, `Failed` (the service or program refused), or `Unknown` (it may have
//!   happened).
//! - **settle**: to write the outcome of an attempt into the status.
//! - **uncertain**: a step with an `Unknown` attempt that nothing has settled.
//! - **in effect**: a step that did, or may have done, something that is not undone.
//! - **undo set**: the steps that a compensation of the saga has to undo.
//! - **pivot**: the step after which a saga only goes forward.
//! - **request**: what a user asks for by annotation, such as a retry. An **HTTP request** is what
//!   a step sends.
//! - **plan**: the next status, the effects, and the time of the next reconcile.
//! - **effect**: something that leaves the process: a create, a delete, an HTTP request, an event.
//! - **service**: the HTTP server or program that a step calls.
//! - **replica**: one process of this operator. **Executor**: the id under which a replica sends
//!   HTTP requests; a Lease belongs to each executor.
//! - **cache**: what a watch shows. **Live read**: a GET from the API server.
//! - **terminating**: an object with a deletion timestamp.
//! - **permanent**: said of a failure that no retry follows.
//! - **breaker**: the circuit breaker of one host. **Slot**: the right to send one HTTP request
//!   now.
//! - **mutant**: a rule that is broken on purpose, so that a test must notice.

pub mod api;
pub mod clock;
#[cfg(feature = "operator")]
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
#[cfg(feature = "operator")]
pub mod service;
pub mod text;
pub mod validate;
pub mod world;
