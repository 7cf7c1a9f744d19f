//! What a call is, by its method, its path and its body.

use http::{Method, request::Parts};
use serde_json::Value;

use crate::fault::Counter;

/// What a call is: its method and the resource, such as `PUT sagas/status`.
pub fn class(head: &Parts) -> String {
    let mut segments = head.uri.path().split('/').skip_while(|segment| *segment != "namespaces").skip(2);
    let (resource, _name, subresource) = (segments.next(), segments.next(), segments.next());
    let path = match (resource, subresource) {
        (Some(resource), Some(subresource)) => format!("{resource}/{subresource}"),
        (Some(resource), None) => resource.to_owned(),
        (None, _) if head.uri.path().contains("/admissionregistration.k8s.io/") => "policies".to_owned(),
        (None, _) => "namespaces".to_owned(),
    };
    format!("{} {path}", head.method)
}

/// What a call is counted as. `noted` are the UIDs of children that were noted before.
pub fn counter(head: &Parts, class: &str, body: &[u8], noted: &mut Vec<String>) -> Counter {
    let query = head.uri.query().unwrap_or_default();
    let watches = query.split('&').any(|pair| pair == "watch=true");
    let lists = head.method == Method::GET && query.split('&').any(|pair| pair.starts_with("limit="));
    match (class, watches, lists) {
        ("GET sagas", true, _) => Counter::SagaWatch,
        ("GET sagas", _, true) => Counter::SagaList,
        ("GET pods", true, _) => Counter::PodWatch,
        ("GET pods", _, true) => Counter::PodList,
        ("GET jobs", true, _) => Counter::JobWatch,
        ("GET jobs", _, true) => Counter::JobList,
        ("PUT sagas/status", ..) if notes_a_child(body, noted) => Counter::Noted,
        ("POST leases", ..) => Counter::LeaseCreation,
        ("PUT leases", ..) => Counter::LeaseRenewal,
        ("GET policies", ..) => Counter::PolicyRead,
        _ if class.ends_with(" leases") => Counter::LeaseRead,
        _ => Counter::Call,
    }
}

/// Whether a status write notes the UID of a child that was not noted before.
fn notes_a_child(body: &[u8], noted: &mut Vec<String>) -> bool {
    let saga: Value = serde_json::from_slice(body).unwrap_or_default();
    let steps = saga.pointer("/status/steps").and_then(Value::as_array).into_iter().flatten();
    let children = steps.flat_map(|step| ["/action/active/childUid", "/compensation/active/childUid"].map(|place| step.pointer(place)));
    let new: Vec<_> = children.flatten().filter_map(Value::as_str).filter(|uid| !noted.iter().any(|known| known == uid)).collect();
    let any = !new.is_empty();
    let new: Vec<_> = new.into_iter().map(str::to_owned).collect();
    noted.extend(new);
    any
}
