//! Checks the action `pod`, and parses the expressions in it.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::action::{Templated, limit, parsed_by};
use crate::{
    api::PodAction,
    expression::template::{Template, node::Form},
    fault::{Fault, Wrong},
    manifest::{
        pod_template::{check_account, check_template},
        resources::check_resources,
    },
    model::saga::{Operation, ValidSaga, Work},
};

/// The fields below which only text may stand. A number that an expression gives there becomes
/// text.
const TEXTS: [&str; 12] = [
    "labels",
    "annotations",
    "nodeSelector",
    "matchLabels",
    "command",
    "args",
    "name",
    "value",
    "key",
    "image",
    "subPath",
    "mountPath",
];
pub(in crate::validate) fn pod(
    action: &PodAction,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<Templated<PodAction>> {
    check_form(action, path, faults);
    let PodAction {
        image,
        command,
        args,
        env,
        env_from,
        resources: _,
        mount_token: _,
        template: _,
        final_exit_codes,
        finishes_on_sigterm: _,
    } = action;
    if image.as_ref().is_some_and(String::is_empty) {
        faults.push(Fault::new(format!("{path}.image"), "must name an image"));
    }
    limit(
        image.iter().flat_map(|image| image.chars()).count(),
        1024,
        "characters",
        &format!("{path}.image"),
        faults,
    );
    limit(command.iter().flatten().count(), 256, "entries", &format!("{path}.command"), faults);
    limit(args.iter().flatten().count(), 256, "entries", &format!("{path}.args"), faults);
    limit(env.iter().flatten().count(), 128, "entries", &format!("{path}.env"), faults);
    limit(env_from.iter().flatten().count(), 32, "entries", &format!("{path}.envFrom"), faults);
    exit_codes(
        final_exit_codes.as_deref().unwrap_or_default(),
        &format!("{path}.finalExitCodes"),
        faults,
    );
    for (place, variable) in env.iter().flatten().enumerate() {
        if variable.name.starts_with("SAGA_") {
            let message =
                "names that begin with SAGA_ are set by the operator: choose another name";
            faults.push(Fault::broken(format!("{path}.env[{place}].name"), message));
        }
    }
    let (action, template) = parsed(action, path, faults)?;
    if let Some(Err(message)) =
        action.resources.as_ref().filter(|_| template.is_none()).map(check_resources)
    {
        faults.push(Fault::new(path, message));
    }
    if let Some(Err(wrong)) = known_of(&action, template.as_ref()).as_ref().map(check_template) {
        faults.extend(wrong.into_iter().map(|wrong| fault(path, wrong)));
    }
    Some((action, template))
}

/// Checks the exit codes after which no retry follows.
pub(in crate::validate) fn exit_codes(codes: &[i32], path: &str, faults: &mut Vec<Fault>) {
    limit(codes.len(), 32, "entries", path, faults);
    for (place, code) in codes.iter().enumerate() {
        if !(1..=255).contains(code) {
            faults.push(Fault::new(format!("{path}[{place}]"), "must be 1 to 255"));
        }
    }
}

/// Checks that the action sets either an image or a template, and that a template holds all fields
/// of its containers.
fn check_form(action: &PodAction, path: &str, faults: &mut Vec<Fault>) {
    let PodAction {
        image,
        command,
        args,
        env,
        env_from,
        resources,
        mount_token,
        template,
        final_exit_codes: _,
        finishes_on_sigterm: _,
    } = action;
    if image.is_some() == template.is_some() {
        faults.push(Fault::broken(path, "set exactly one of image and template"));
    }
    let besides =
        [command.is_some(), args.is_some(), env.is_some(), env_from.is_some(), resources.is_some()];
    if template.is_some() && besides.contains(&true) {
        let message = "with a template, command, args, env, envFrom and resources stand in its \
            containers: move them there";
        faults.push(Fault::broken(path, message));
    }
    if template.is_some() && mount_token.is_some() {
        let message =
            "with a template, automountServiceAccountToken stands in its spec: set it there";
        faults.push(Fault::broken(path, message));
    }
}

/// Returns the action of a Pod or a Job as [`super::action::parsed`] does.
pub(in crate::validate) fn parsed<T>(
    action: &T,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<Templated<T>>
where
    T: Serialize + DeserializeOwned + Clone,
{
    let form = |leaf: &str| form(leaf.strip_prefix(path).unwrap_or_default());
    let parse = |fields: &Map<String, Value>, faults: &mut Vec<Fault>| {
        Template::by_path(fields, path, form, faults)
    };
    parsed_by(action, path, parse, faults)
}

/// Returns what may stand in the leaf at a path within the action of a Pod or a Job, such as
/// `.template.spec.containers[0].args[1]`.
fn form(leaf: &str) -> Form {
    let mut parts = leaf.split('.').skip(1);
    match parts.next() {
        Some("resources") => Form::Any,
        Some("template" | "spec") if !parts.any(|part| TEXTS.contains(&without_place(part))) => {
            Form::Any
        }
        _ => Form::Text,
    }
}

/// Returns `args` for `args[1]`.
pub(in crate::validate) fn without_place(part: &str) -> &str {
    part.split('[').next().unwrap_or_default()
}

/// Finds templates that name another ServiceAccount than the saga's. The operator creates the Pods
/// of the saga, so they may not gain the permissions of another account.
pub(in crate::validate) fn check_accounts(saga: &ValidSaga, faults: &mut Vec<Fault>) {
    for (operation, path) in operations(saga) {
        let Work::Pod(action) = &operation.work else { continue };
        let template = known_of(action, operation.template.as_ref())
            .and_then(|template| check_template(&template).ok());
        if let Some(wrong) =
            template.and_then(|template| check_account(&template, &saga.service_account))
        {
            faults.push(fault(&format!("{path}.pod"), wrong));
        }
    }
}

/// Returns every action and every compensation of a saga, with the path under which it is written.
pub(in crate::validate) fn operations(
    saga: &ValidSaga,
) -> impl Iterator<Item = (&Operation, String)> {
    saga.steps.iter().enumerate().flat_map(|(place, step)| {
        let path = format!("spec.steps[{place}]");
        let compensation =
            step.compensation.as_ref().map(|undo| (undo, format!("{path}.compensation")));
        [(&step.action, path)].into_iter().chain(compensation)
    })
}

/// Returns the Pod template without the leaves that hold expressions.
fn known_of(action: &PodAction, template: Option<&Template>) -> Option<Value> {
    let literal = action.template.clone()?;
    Some(template.map_or(literal, |template| {
        template.skeleton().get("template").cloned().unwrap_or_default()
    }))
}

/// Makes a fault of a template a broken fault. A template that cannot be read may hide another
/// ServiceAccount, so no part of it ever runs.
pub(in crate::validate) fn fault(path: &str, (within, message): Wrong) -> Fault {
    Fault::broken(format!("{path}.{within}"), message)
}
