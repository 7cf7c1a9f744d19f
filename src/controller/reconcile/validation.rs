//! Validates sagas, and keeps the results.

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
    let accepted = stored.status.as_ref().is_ok_and(|status| status.spec_hash.is_some());
    let checked = (stored.metadata.generation.unwrap_or_default(), accepted);
    if let Some(kept) = validated.kept(&uid, checked) {
        return kept;
    }
    let who = SagaName {
        name: name(stored).to_owned(),
        namespace: namespace(stored).to_owned(),
        uid: uid.clone(),
    };
    let heavy = stored.spec.as_ref().is_ok_and(may_have_expressions);
    let made = evaluations.run(Weight::of(heavy), || {
        if accepted {
            validate_accepted(&who, &stored.spec)
        } else {
            validate_stored(&who, &stored.spec)
        }
    });
    validated.keep(&uid, checked, made.await)
}
