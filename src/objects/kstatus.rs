//! Whether an object is as its spec says, by the rules that kubectl, Flux and Argo CD's users know as kstatus
//! (<https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md>).
//!
//! # Guarantees
//! No object, however odd, makes this panic. What is not known to be unready is ready, as there.

use serde_json::Value;

use super::text::bounded_line;

/// The most characters of a reason.
const MAX_REASON: usize = 200;

/// Why an object is not ready yet; `None` where it is as its spec says.
#[must_use]
pub fn unready(object: &Value) -> Option<String> {
    if object.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null()) {
        return Some("it is being deleted".into());
    }
    let (generation, observed) = (number(object, "/metadata/generation"), number(object, "/status/observedGeneration"));
    if let Some((generation, observed)) = generation.zip(observed).filter(|(generation, observed)| generation != observed) {
        return Some(format!("its controller has seen generation {observed} and not yet {generation}"));
    }
    for (kind, bad) in [("Reconciling", "True"), ("Stalled", "True")] {
        if let Some(reason) = condition(object, kind).filter(|condition| condition.status == bad) {
            return Some(reason.text());
        }
    }
    match (group(object), text(object, "/kind")) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "ReplicaSet") => replica_set(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("", "Pod") => pod(object),
        ("", "PersistentVolumeClaim") => wanted(object, "/status/phase", "Bound"),
        ("", "Service") if text(object, "/spec/type") == "LoadBalancer" => {
            let assigned = object.pointer("/status/loadBalancer/ingress").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
            (!assigned).then(|| "it has no address yet".into())
        }
        ("batch", "Job") => job(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => is_true(object, "Established"),
        _ => condition(object, "Ready").filter(|ready| ready.status != "True").map(|ready| ready.text()),
    }
}

/// A condition of an object.
struct Condition<'a> {
    kind: &'a str,
    status: &'a str,
    reason: &'a str,
    message: &'a str,
}

impl Condition<'_> {
    fn text(&self) -> String {
        let Self { kind, status, reason, message } = self;
        bounded_line(&format!("{kind} is {status} {reason} {message}"), MAX_REASON)
    }
}

fn condition<'a>(object: &'a Value, kind: &'a str) -> Option<Condition<'a>> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let found = conditions.iter().find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))?;
    let field = |name: &str| found.get(name).and_then(Value::as_str).unwrap_or_default();
    Some(Condition { kind, status: field("status"), reason: field("reason"), message: field("message") })
}

fn is_true(object: &Value, kind: &str) -> Option<String> {
    match condition(object, kind) {
        Some(condition) if condition.status == "True" => None,
        Some(condition) => Some(condition.text()),
        None => Some(format!("it has no condition {kind} yet")),
    }
}

fn number(object: &Value, path: &str) -> Option<i64> {
    object.pointer(path).and_then(Value::as_i64)
}

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn group(object: &Value) -> &str {
    text(object, "/apiVersion").split_once('/').map_or("", |(group, _)| group)
}

fn wanted(object: &Value, path: &str, wanted: &str) -> Option<String> {
    let is = text(object, path);
    (is != wanted).then(|| bounded_line(&format!("it is {is} and not {wanted}"), MAX_REASON))
}

/// The first count that is too low, in words.
fn too_few(counts: &[(&str, i64)], wanted: i64) -> Option<String> {
    counts.iter().find(|(_, count)| *count < wanted).map(|(what, count)| format!("{count} of {wanted} replicas are {what}"))
}

fn deployment(object: &Value) -> Option<String> {
    if condition(object, "Progressing").is_some_and(|progressing| progressing.reason == "ProgressDeadlineExceeded") {
        return Some("its progress deadline passed".into());
    }
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let count = |name: &str| number(object, &format!("/status/{name}")).unwrap_or_default();
    let old = count("replicas") > count("updatedReplicas");
    let counts = [("updated", count("updatedReplicas")), ("available", count("availableReplicas")), ("ready", count("readyReplicas"))];
    too_few(&counts, wanted).or_else(|| old.then(|| "replicas of an older version still run".into()))
}

fn replica_set(object: &Value) -> Option<String> {
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let count = |name: &str| number(object, &format!("/status/{name}")).unwrap_or_default();
    let counts = [("there", count("replicas")), ("available", count("availableReplicas")), ("ready", count("readyReplicas"))];
    too_few(&counts, wanted).or_else(|| too_many(count("replicas"), wanted))
}

fn stateful_set(object: &Value) -> Option<String> {
    // Its Pods are replaced when a person deletes them.
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return None;
    }
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    let count = |name: &str| number(object, &format!("/status/{name}")).unwrap_or_default();
    let few = too_few(&[("there", count("replicas")), ("ready", count("readyReplicas"))], wanted);
    few.or_else(|| too_many(count("replicas"), wanted)).or_else(|| {
        match number(object, "/spec/updateStrategy/rollingUpdate/partition").filter(|partition| *partition > 0) {
            // Those below the partition keep their older version.
            Some(partition) => too_few(&[("updated", count("updatedReplicas"))], wanted.saturating_sub(partition)),
            None => (text(object, "/status/currentRevision") != text(object, "/status/updateRevision"))
                .then(|| "replicas of an older version still run".into()),
        }
    })
}

/// Replicas that are still to go, in words.
fn too_many(count: i64, wanted: i64) -> Option<String> {
    (count > wanted).then(|| format!("{count} replicas are there, and {wanted} are wanted"))
}

fn daemon_set(object: &Value) -> Option<String> {
    let count = |name: &str| number(object, &format!("/status/{name}"));
    let Some(wanted) = count("desiredNumberScheduled") else { return Some("its controller has not seen it yet".into()) };
    let of = |name: &str| count(name).unwrap_or_default();
    too_few(&[("updated", of("updatedNumberScheduled")), ("available", of("numberAvailable")), ("ready", of("numberReady"))], wanted)
}

fn pod(object: &Value) -> Option<String> {
    if text(object, "/status/phase") == "Succeeded" {
        return None;
    }
    is_true(object, "Ready")
}

fn job(object: &Value) -> Option<String> {
    if let Some(failed) = condition(object, "Failed").filter(|failed| failed.status == "True") {
        return Some(failed.text());
    }
    // A Job that was begun is as its spec says: it need not be over.
    object.pointer("/status/startTime").is_none().then(|| "it has not begun".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_known_to_be_unready_is_ready() {
        for object in [json!({}), json!(7), json!({"kind": "ConfigMap", "apiVersion": "v1"}), json!({"status": {"conditions": "x"}})] {
            assert_eq!(unready(&object), None, "{object}");
        }
    }

    #[test]
    fn an_object_is_ready_when_its_controller_says_so_of_its_newest_generation() {
        let deployment = |status: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status});
        let full = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2});
        assert_eq!(unready(&deployment(full.clone())), None);
        for (field, value, says) in [
            ("observedGeneration", 1, "its controller has seen generation 1 and not yet 2"),
            ("availableReplicas", 1, "1 of 2 replicas are available"),
            ("updatedReplicas", 0, "0 of 2 replicas are updated"),
            ("replicas", 3, "replicas of an older version still run"),
        ] {
            let mut status = full.clone();
            status[field] = json!(value);
            assert_eq!(unready(&deployment(status)).as_deref(), Some(says));
        }
        assert_eq!(unready(&deployment(json!({}))).as_deref(), Some("0 of 2 replicas are updated"));
    }

    #[test]
    fn a_stateful_set_is_ready_when_what_its_strategy_replaces_by_itself_is_replaced() {
        let set = |strategy: Value, updated: i64, there: i64| {
            let status = json!({"replicas": there, "readyReplicas": there, "updatedReplicas": updated, "currentRevision": "a", "updateRevision": "b"});
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {"replicas": 3, "updateStrategy": strategy}, "status": status})
        };
        let part = |partition: i64| json!({"type": "RollingUpdate", "rollingUpdate": {"partition": partition}});
        assert_eq!(unready(&set(part(2), 1, 3)), None);
        assert_eq!(unready(&set(part(2), 0, 3)).as_deref(), Some("0 of 1 replicas are updated"));
        assert_eq!(unready(&set(part(5), 0, 3)), None);
        assert_eq!(unready(&set(part(0), 1, 3)).as_deref(), Some("replicas of an older version still run"));
        assert_eq!(unready(&set(part(2), 1, 4)).as_deref(), Some("4 replicas are there, and 3 are wanted"));
        assert_eq!(unready(&set(json!({"type": "OnDelete"}), 0, 3)), None);
    }

    #[test]
    fn conditions_tell_of_every_other_kind() {
        let of = |kind: &str, status: &str| json!({"apiVersion": "x.dev/v1", "kind": "X", "status": {"conditions": [{"type": kind, "status": status, "reason": "R", "message": "m"}]}});
        assert_eq!(unready(&of("Ready", "True")), None);
        assert_eq!(unready(&of("Ready", "False")).as_deref(), Some("Ready is False R m"));
        assert_eq!(unready(&of("Stalled", "True")).as_deref(), Some("Stalled is True R m"));
        assert_eq!(unready(&of("Other", "False")), None);
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}});
        assert_eq!(unready(&claim).as_deref(), Some("it is Pending and not Bound"));
        let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(unready(&going).as_deref(), Some("it is being deleted"));
    }
}
