//! Checks the action `job`, and parses the expressions in it.

use serde_json::{Map, Value};

use super::{
    action::Templated,
    pod::{exit_codes, fault, operations, parsed},
};
use crate::{
    api::JobAction,
    expression::template::Template,
    fault::Fault,
    manifest::job_spec::{check_account, check_metadata, check_spec},
    model::saga::{ValidSaga, Work},
};

pub(in crate::validate) fn job(
    action: &JobAction,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<Templated<JobAction>> {
    exit_codes(
        action.final_exit_codes.as_deref().unwrap_or_default(),
        &format!("{path}.finalExitCodes"),
        faults,
    );
    let (action, template) = parsed(action, path, faults)?;
    let known = known_of(&action, template.as_ref());
    let wrong = [check_metadata(known.metadata.as_ref()).err(), check_spec(&known.spec).err()];
    faults.extend(wrong.into_iter().flatten().flatten().map(|wrong| fault(path, wrong)));
    Some((action, template))
}

/// Finds specs that name another ServiceAccount than the saga's. The operator creates the Jobs of
/// the saga, so they may not gain the permissions of another account.
pub(in crate::validate) fn check_accounts(saga: &ValidSaga, faults: &mut Vec<Fault>) {
    for (operation, path) in operations(saga) {
        let Work::Job(action) = &operation.work else { continue };
        let spec = check_spec(&known_of(action, operation.template.as_ref()).spec).ok();
        if let Some(wrong) = spec.and_then(|spec| check_account(&spec, &saga.service_account)) {
            faults.push(fault(&format!("{path}.job"), wrong));
        }
    }
}

/// Returns the action without the leaves that hold expressions.
fn known_of(action: &JobAction, template: Option<&Template>) -> JobAction {
    let Some(template) = template else { return action.clone() };
    let skeleton = template.skeleton();
    let spec = skeleton.get("spec").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    JobAction {
        metadata: skeleton.get("metadata").cloned(),
        spec,
        final_exit_codes: None,
        finishes_on_sigterm: None,
    }
}
