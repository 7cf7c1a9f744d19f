//! Classifies calls by their method, their path and their body.

use http::{Method, request::Parts};
use saga_operator::api::names::MANAGER;
use serde_json::Value;

use crate::fault::Counter;

/// Returns the class of a call: its method and the resource, such as `PUT sagas/status`.
pub fn class(head: &Parts) -> String {
    let mut segments =
        head.uri.path().split('/').skip_while(|segment| *segment != "namespaces").skip(2);
    let (resource, _name, subresource) = (segments.next(), segments.next(), segments.next());
    let path = match (resource, subresource) {
        (Some(resource), Some(subresource)) => format!("{resource}/{subresource}"),
        (Some(resource), None) => resource.to_owned(),
        (None, _) if head.uri.path().contains("/admissionregistration.k8s.io/") => {
            "policies".to_owned()
        }
        (None, _) => "namespaces".to_owned(),
    };
    format!("{} {path}", head.method)
}

/// Returns the name of the saga that the path of a call contains, if any.
pub fn saga(head: &Parts) -> Option<&str> {
    let mut segments = head.uri.path().split('/').skip_while(|segment| *segment != "sagas");
    segments.nth(1)
}

/// Returns the counter of a call. `noted` holds the UIDs of children that earlier calls wrote into
/// a status.
pub fn counter(head: &Parts, class: &str, body: &[u8], noted: &mut Vec<String>) -> Counter {
    let has = |pair: &str| {
        head.uri.query().unwrap_or_default().split('&').any(|found| found.starts_with(pair))
    };
    let (reads, watches) = (head.method == Method::GET, has("watch=true"));
    let lists = reads && has("limit=");
    match (class, watches, lists) {
        ("GET sagas", true, _) => Counter::SagaWatch,
        ("GET sagas", _, true) => Counter::SagaList,
        ("GET pods", true, _) => Counter::PodWatch,
        ("GET pods", _, true) => Counter::PodList,
        ("GET jobs", true, _) => Counter::JobWatch,
        ("GET jobs", _, true) => Counter::JobList,
        ("PUT sagas/status", ..) if notes_a_child(body, noted) => Counter::Noted,
        ("GET policies", ..) => Counter::PolicyRead,
        _ if class.ends_with(" leases") => of_a_lease(head, body),
        _ if has("dryRun=All") => Counter::Trial,
        _ if reads => Counter::Read,
        _ => Counter::Call,
    }
}

/// Returns the counter of a call about the Lease of the leader or of an executor.
fn of_a_lease(head: &Parts, body: &[u8]) -> Counter {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let created = body.pointer("/metadata/name").and_then(Value::as_str);
    let named = created.or_else(|| head.uri.path().rsplit('/').next()).unwrap_or_default();
    let of_the_leader = named.strip_prefix(MANAGER).is_some_and(|rest| rest.starts_with("-leader"));
    match (of_the_leader, head.method.as_str()) {
        (true, "POST") => Counter::LeaderCreation,
        (true, "PUT") => Counter::LeaderRenewal,
        (true, _) => Counter::LeaderRead,
        (false, "POST") => Counter::LeaseCreation,
        (false, "PUT") => Counter::LeaseRenewal,
        (false, _) => Counter::LeaseRead,
    }
}

/// Returns whether a status write contains the UID of a child for the first time.
fn notes_a_child(body: &[u8], noted: &mut Vec<String>) -> bool {
    let saga: Value = serde_json::from_slice(body).unwrap_or_default();
    let steps = saga.pointer("/status/steps").and_then(Value::as_array).into_iter().flatten();
    let children = steps.flat_map(|step| {
        ["/action/active/childUid", "/compensation/active/childUid"]
            .map(|place| step.pointer(place))
    });
    let new: Vec<_> = children
        .flatten()
        .filter_map(Value::as_str)
        .filter(|uid| !noted.iter().any(|known| known == uid))
        .collect();
    let any = !new.is_empty();
    let new: Vec<_> = new.into_iter().map(str::to_owned).collect();
    noted.extend(new);
    any
}
