//! The calls of the operator to the API server, from the audit log.

use std::{
    collections::BTreeMap,
    io::{Read, Seek, SeekFrom},
    sync::OnceLock,
};

use serde_json::Value;

use crate::{stand::setting, tools::ACCOUNT};

/// A right: group, resource with its subresource, verb.
pub type Right = (String, String, String);

/// The position in the log from which calls count, in bytes.
static BEGIN: OnceLock<u64> = OnceLock::new();

/// Starts the count: earlier calls do not count.
pub fn begin() {
    let _ = BEGIN.set(std::fs::metadata(setting("SAGA_TEST_AUDIT_LOG")).unwrap().len());
}

/// The calls of the operator.
#[derive(Debug, Default)]
pub struct Calls {
    /// How often each right was used.
    pub used: BTreeMap<Right, usize>,
    /// What was refused because the operator lacks a right: verb and path.
    pub refused: Vec<String>,
}

/// Returns all calls since the start of the count. A call as another account counts as an
/// impersonation only: the call uses the rights of that account.
pub fn calls() -> Calls {
    let mut log = std::fs::File::open(setting("SAGA_TEST_AUDIT_LOG")).unwrap();
    log.seek(SeekFrom::Start(*BEGIN.get_or_init(|| 0))).unwrap();
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    let mut calls = Calls::default();
    // The last line may be incomplete, because the API server may be writing it.
    for event in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if event["user"]["username"] == ACCOUNT && event["stage"] != "ResponseStarted" {
            count(&mut calls, &event);
        }
    }
    calls
}

fn count(calls: &mut Calls, event: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &event["objectRef"];
    let right = if event["impersonatedUser"].is_object() {
        (String::new(), "serviceaccounts".into(), "impersonate".into())
    } else if event["annotations"]["authorization.k8s.io/decision"] == "forbid" {
        calls.refused.push(format!("{} {}", text(&event["verb"]), text(&event["requestURI"])));
        return;
    } else if object.is_null() {
        // The call is not about an object of the API, such as the version of the API server:
        // everybody may read that.
        return;
    } else {
        let resource = [text(&object["resource"]), text(&object["subresource"])];
        let resource =
            resource.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        (text(&object["apiGroup"]), resource, text(&event["verb"]))
    };
    *calls.used.entry(right).or_default() += 1;
}
