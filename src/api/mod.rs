//! What users write and read: the `Saga` resource, its status, names and annotations.
//!
//! # Guarantees
//! Types, their documentation and the rules that the Kubernetes schema can hold. Nothing here
//! decides anything.
//!
//! # Caveats
//! A value that parses is not yet valid: [`crate::validate::saga`] checks every rule again, since a
//! CRD can be older than the operator.

mod action;
pub mod crd;
mod duration;
mod env;
pub mod json;
pub mod limits;
pub mod names;
#[cfg(feature = "next")]
pub mod next;
pub(crate) mod phase;
mod policy;
pub mod reason;
mod request;
pub(crate) mod rules;
mod saga;
pub mod shape;
pub mod status;
pub(crate) mod stored;
mod tls;

pub use self::{
    action::{
        AnswerOutcome, AnswerRule, ApplyAction, ApprovalAction, Header, HeaderSource, HttpAction,
        HttpMethod, JobAction, ObjectRef, PodAction, RESERVED_HEADERS, SagaAction, URL_PATTERN,
        WaitAction,
    },
    duration::GoDuration,
    env::{ConfigMapKey, SecretKey},
    phase::{Direction, Outcome, SagaPhase, StepPhase},
    policy::{Backoff, BackoffType, RetryPolicy},
    request::{HANDLED, MAX_OUTPUTS, ManualOutcome, RequestAction, RequestBody, UserRequest},
    saga::{
        Compensation, Defaults, DeletionPolicy, OnFailure, PrecheckPolicy, Saga, SagaSpec, Step,
    },
    status::{
        ActiveAttempt, AttemptRecord, ChildStatus, DirectionStatus, KeysFrom, Pause, RequestRecord,
        RequestResult, SagaStatus, SpecDoubts, StepStatus, ThrottleStatus,
    },
    stored::{
        Decoded, LargeSpec, StoredSaga, Strangers, WholeSaga, read_status, salvage, with_strangers,
    },
    tls::{CaSource, HttpTls},
};

/// The API group of every resource, label, annotation and finalizer of this project.
pub const GROUP: &str = "saga.dev";
/// The API version that this operator stores and serves.
pub const VERSION: &str = "v1alpha1";
/// The version of this operator.
pub const RELEASE: &str = if cfg!(feature = "next") { "99.0.0" } else { env!("CARGO_PKG_VERSION") };
/// The most steps a saga may have.
pub const MAX_STEPS: usize = 128;
/// The number of retry requests that a user may make if `maxRetryRequests` is not set.
pub const DEFAULT_RETRY_REQUESTS: i32 = 10;
/// The most entries `dependsOn` of one step may have.
pub const MAX_DEPENDENCIES: usize = 16;
