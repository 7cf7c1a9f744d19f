//! Validates sagas, and keeps the results, except those of specs that are too large to be kept.

use std::sync::Arc;

use crate::{
    api::{
        StoredSaga,
        stored::{name, namespace},
    },
    controller::{
        evaluations::{Evaluations, Weight},
        memory::validated::{Validated, ValidatedSagas},
    },
    model::saga::SagaName,
    validate::{
        read_scope::may_have_expressions,
        saga::{validate_accepted, validate_stored},
    },
};

/// Validates the saga, or returns the kept result. The validation evaluates expressions that read
/// only known values, so it counts as a heavy computation, like a plan.
pub(in crate::controller) async fn valid(
    validated: &ValidatedSagas,
    evaluations: &Evaluations,
    stored: &StoredSaga,
) -> Validated {
    let uid = stored.metadata.uid.clone().unwrap_or_default();
    let (accepted, large) = (stored.is_accepted(), stored.is_to_be_read_whole());
    let accepted_by = stored.status.as_ref().ok().and_then(|status| status.accepted_by.as_deref());
    let checked = (stored.metadata.generation.unwrap_or_default(), accepted);
    if let Some(kept) = validated.kept(&uid, checked).filter(|_| !large) {
        return kept;
    }
    let who = SagaName {
        name: name(stored).to_owned(),
        namespace: namespace(stored).to_owned(),
        uid: uid.clone(),
    };
    let heavy = stored.spec.as_ref().is_ok_and(may_have_expressions);
    let made = evaluations.run(namespace(stored), Weight::of(heavy), || {
        if accepted {
            validate_accepted(&who, &stored.spec, accepted_by)
        } else {
            validate_stored(&who, &stored.spec)
        }
    });
    let made = made.await;
    if large { Arc::new(made) } else { validated.keep(&uid, checked, made) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::json;

    use super::*;
    use crate::api::RELEASE;

    #[tokio::test]
    async fn the_version_that_accepted_a_saga_decides_whether_its_pods_get_tokens_unasked() {
        for (status, unasked) in [
            (json!({}), false),
            (json!({"specHash": "1"}), true),
            (json!({"specHash": "1", "acceptedBy": "0.0.9"}), true),
            (json!({"specHash": "1", "acceptedBy": RELEASE}), false),
        ] {
            let stored: StoredSaga = serde_json::from_value(json!({
                "apiVersion": "saga.dev/v1alpha1", "kind": "Saga",
                "metadata": {"name": "order", "namespace": "shop", "uid": "1"},
                "spec": {"steps": [{"name": "ship", "pod": {"image": "ship:1"}}]},
                "status": status,
            }))
            .unwrap();
            let kept = ValidatedSagas::default();
            let saga = valid(&kept, &Evaluations::default(), &stored).await;
            assert_eq!(saga.as_ref().as_ref().unwrap().tokens_unasked, unasked, "{status}");
        }
    }
}
