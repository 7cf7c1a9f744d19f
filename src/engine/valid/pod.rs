//! Checks the action `pod`, and parses the expressions in it.

use super::{
    super::expression::Form,
    Fault,
    action::{Parsed, limit, parsed},
};
use crate::{api::PodAction, objects::pod::check_resources};

pub(super) fn pod(action: &PodAction, path: &str, faults: &mut Vec<Fault>) -> Option<Parsed<PodAction>> {
    let PodAction { image, command, args, env, env_from, resources: _, final_exit_codes } = action;
    if image.is_empty() {
        faults.push(Fault::new(format!("{path}.image"), "must name an image"));
    }
    limit(image.chars().count(), 1024, "characters", &format!("{path}.image"), faults);
    limit(command.iter().flatten().count(), 256, "entries", &format!("{path}.command"), faults);
    limit(args.iter().flatten().count(), 256, "entries", &format!("{path}.args"), faults);
    limit(env.iter().flatten().count(), 128, "entries", &format!("{path}.env"), faults);
    limit(env_from.iter().flatten().count(), 32, "entries", &format!("{path}.envFrom"), faults);
    limit(final_exit_codes.iter().flatten().count(), 32, "entries", &format!("{path}.finalExitCodes"), faults);
    for (place, code) in final_exit_codes.iter().flatten().enumerate() {
        if !(1..=255).contains(code) {
            faults.push(Fault::new(format!("{path}.finalExitCodes[{place}]"), "must be 1 to 255"));
        }
    }
    for (place, variable) in env.iter().flatten().enumerate() {
        if variable.name.starts_with("SAGA_") {
            let message = "names that begin with SAGA_ are set by the operator: choose another name";
            faults.push(Fault::new(format!("{path}.env[{place}].name"), message));
        }
    }
    let form = |name: &str| if name == "resources" { Form::Any } else { Form::Text };
    let (action, template) = parsed(action, path, form, faults)?;
    let resources = action.resources.as_ref().filter(|_| template.is_none());
    if let Some(Err(message)) = resources.map(check_resources) {
        faults.push(Fault::new(path, message));
    }
    Some((action, template))
}
