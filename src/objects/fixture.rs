//! The shared values of the tests in this folder: a saga, and an attempt of its step `ship`.

use crate::{
    api::{DeletionPolicy, Direction, OnFailure, names::AttemptId},
    model::saga::{Identity, ValidSaga},
};

/// Returns a saga named `order-1042` without steps.
pub(super) fn saga() -> ValidSaga {
    ValidSaga {
        doubts: Vec::new(),
        raised: Vec::new(),
        name: "order-1042".into(),
        namespace: "shop".into(),
        uid: "0d1c".into(),
        key_scope: "0d1c".into(),
        service_account: "order-saga".into(),
        tokens_unasked: false,
        max_parallel: 1,
        on_failure: OnFailure::Hold,
        timeout: None,
        ttl: None,
        suspend: false,
        max_retry_requests: 10,
        deletion_policy: DeletionPolicy::Compensate,
        params: serde_json::Map::new(),
        outputs: None,
        steps: Vec::new(),
    }
}

/// Returns the identity of attempt `number`, with the idempotency key that follows one definite
/// failure.
pub(super) fn identity(number: i64) -> Identity {
    Identity {
        saga: "order-1042".into(),
        namespace: "shop".into(),
        uid: "0d1c".into(),
        attempt: AttemptId { step: "ship".into(), direction: Direction::Action, number },
        key: "0d1c/ship/action/1".into(),
    }
}
