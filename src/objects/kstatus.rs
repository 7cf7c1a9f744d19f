//! Decides whether an object matches its spec. The rules are kstatus, which users of kubectl, Flux
//! and Argo CD know
//! (<https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md>).
//!
//! # Guarantees
//! No object, however malformed, causes a panic. As in kstatus, an object that is not known to be
//! unready is ready.

use serde_json::Value;

use crate::text::bounded_line;

/// The maximum number of characters of a reason.
const MAX_REASON: usize = 200;

/// Returns why an object is not ready yet. Returns `None` if the object matches its spec.
#[must_use]
pub fn unready(object: &Value) -> Option<String> {
    if object.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null()) {
        return Some("it is being deleted".into());
    }
    let (generation, observed) =
        (number(object, "/metadata/generation"), number(object, "/status/observedGeneration"));
    if let Some((generation, observed)) =
        generation.zip(observed).filter(|(generation, observed)| generation != observed)
    {
        return Some(format!(
            "its controller has seen generation {observed} and not yet {generation}"
        ));
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
        ("", "PersistentVolumeClaim") => in_phase(object, "Bound"),
        ("", "Service") if text(object, "/spec/type") == "LoadBalancer" => load_balancer(object),
        ("batch", "Job") => job(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        _ => condition(object, "Ready")
            .filter(|ready| ready.status != "True")
            .map(|ready| ready.text()),
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
    let found = conditions
        .iter()
        .find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))?;
    let field = |name: &str| found.get(name).and_then(Value::as_str).unwrap_or_default();
    Some(Condition {
        kind,
        status: field("status"),
        reason: field("reason"),
        message: field("message"),
    })
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

fn in_phase(object: &Value, wanted: &str) -> Option<String> {
    match text(object, "/status/phase") {
        "" => Some("it has no phase yet".into()),
        is => (is != wanted)
            .then(|| bounded_line(&format!("it is {is} and not {wanted}"), MAX_REASON)),
    }
}

/// Returns a message about the first count that is too low.
fn too_few(counts: &[(&str, i64)], wanted: i64) -> Option<String> {
    counts
        .iter()
        .find(|(_, count)| *count < wanted)
        .map(|(what, count)| format!("{count} of {wanted} replicas are {what}"))
}

/// Returns a count of the status. A missing count is 0.
fn count(object: &Value, name: &str) -> i64 {
    number(object, &format!("/status/{name}")).unwrap_or_default()
}

/// Returns the wanted number of replicas. The default is 1.
fn replicas(object: &Value) -> i64 {
    number(object, "/spec/replicas").unwrap_or(1)
}

fn deployment(object: &Value) -> Option<String> {
    let progressing = condition(object, "Progressing");
    if progressing
        .as_ref()
        .is_some_and(|progressing| progressing.reason == "ProgressDeadlineExceeded")
    {
        return Some("its progress deadline passed".into());
    }
    let (wanted, there, updated) =
        (replicas(object), count(object, "replicas"), count(object, "updatedReplicas"));
    let (available, ready) = (count(object, "availableReplicas"), count(object, "readyReplicas"));
    let few = too_few(&[("updated", updated), ("available", available), ("ready", ready)], wanted);
    let old = || (there > updated).then(|| "replicas of an older version still run".to_owned());
    // The controller sets the condition `Progressing` only if there is a progress deadline.
    let has_deadline = number(object, "/spec/progressDeadlineSeconds")
        .is_some_and(|seconds| seconds != i64::from(i32::MAX));
    let rolled_out = || match &progressing {
        _ if !has_deadline => None,
        Some(progressing)
            if (progressing.status, progressing.reason) == ("True", "NewReplicaSetAvailable") =>
        {
            None
        }
        Some(progressing) => Some(progressing.text()),
        None => Some("it has no condition Progressing yet".into()),
    };
    few.or_else(old)
        .or_else(|| too_many(there, wanted))
        .or_else(|| too_few(&[("there", there), ("available", available)], updated))
        .or_else(rolled_out)
        .or_else(|| is_true(object, "Available"))
}

fn replica_set(object: &Value) -> Option<String> {
    if let Some(failure) =
        condition(object, "ReplicaFailure").filter(|failure| failure.status == "True")
    {
        return Some(failure.text());
    }
    let (wanted, there) = (replicas(object), count(object, "replicas"));
    let (labeled, available) =
        (count(object, "fullyLabeledReplicas"), count(object, "availableReplicas"));
    let counts = [
        ("there", there),
        ("labeled", labeled),
        ("available", available),
        ("ready", count(object, "readyReplicas")),
    ];
    too_few(&counts, wanted).or_else(|| too_many(there, wanted))
}

fn stateful_set(object: &Value) -> Option<String> {
    // Pods of an `OnDelete` set are replaced only after somebody deletes them.
    if text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return None;
    }
    let (wanted, there, updated) =
        (replicas(object), count(object, "replicas"), count(object, "updatedReplicas"));
    let few = too_few(&[("there", there), ("ready", count(object, "readyReplicas"))], wanted);
    few.or_else(|| too_many(there, wanted)).or_else(|| {
        let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
        let replaced = match partition {
            // Replicas below the partition keep their older version.
            Some(partition) => too_few(&[("updated", updated)], wanted.saturating_sub(partition)),
            None => too_few(&[("current", count(object, "currentReplicas"))], wanted),
        };
        let is_old = partition.is_none_or(|partition| partition <= 0)
            && text(object, "/status/currentRevision") != text(object, "/status/updateRevision");
        replaced.or_else(|| is_old.then(|| "replicas of an older version still run".into()))
    })
}

/// Returns a message if there are more replicas than wanted.
fn too_many(count: i64, wanted: i64) -> Option<String> {
    (count > wanted).then(|| format!("{count} replicas are there, and {wanted} are wanted"))
}

fn daemon_set(object: &Value) -> Option<String> {
    let seen =
        ["/metadata/generation", "/status/observedGeneration", "/status/desiredNumberScheduled"]
            .map(|path| number(object, path));
    let [Some(_), Some(_), Some(wanted)] = seen else {
        return Some("its controller has not seen it yet".into());
    };
    let counts = [
        ("there", "currentNumberScheduled"),
        ("updated", "updatedNumberScheduled"),
        ("available", "numberAvailable"),
        ("ready", "numberReady"),
    ];
    too_few(&counts.map(|(what, name)| (what, count(object, name))), wanted)
}

fn pod(object: &Value) -> Option<String> {
    if text(object, "/status/phase") == "Succeeded" {
        return None;
    }
    in_phase(object, "Running").or_else(|| is_true(object, "Ready"))
}

fn job(object: &Value) -> Option<String> {
    if let Some(failed) = condition(object, "Failed").filter(|failed| failed.status == "True") {
        return Some(failed.text());
    }
    // A started Job matches its spec: the Job need not have ended.
    text(object, "/status/startTime").is_empty().then(|| "it has not begun".into())
}

fn load_balancer(object: &Value) -> Option<String> {
    let assigned = object
        .pointer("/status/loadBalancer/ingress")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty());
    (!assigned || text(object, "/spec/clusterIP").is_empty())
        .then(|| "it has no address yet".into())
}

fn definition(object: &Value) -> Option<String> {
    let names = condition(object, "NamesAccepted").filter(|names| names.status == "False");
    names.map(|names| names.text()).or_else(|| is_true(object, "Established"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_known_to_be_unready_is_ready() {
        for object in [
            json!({}),
            json!(7),
            json!({"kind": "ConfigMap", "apiVersion": "v1"}),
            json!({"status": {"conditions": "x"}}),
        ] {
            assert_eq!(unready(&object), None, "{object}");
        }
    }

    /// Returns a copy of the object with `value` at `path`.
    fn with(object: &Value, path: &str, value: Value) -> Value {
        let mut changed = object.clone();
        if let Some(there) = changed.pointer_mut(path) {
            *there = value;
        } else {
            let (parent, field) = path.rsplit_once('/').unwrap();
            changed.pointer_mut(parent).unwrap()[field] = value;
        }
        changed
    }

    /// Asserts that the object is ready, and that each change in `table` gives its message.
    fn told(object: &Value, table: &[(&str, Value, &str)]) {
        assert_eq!(unready(object), None);
        for (path, value, says) in table {
            assert_eq!(
                unready(&with(object, path, value.clone())).as_deref(),
                Some(*says),
                "{path}"
            );
        }
    }

    fn says(kind: &str, status: &str, reason: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": "m"})
    }

    #[test]
    fn a_deployment_is_ready_when_its_controller_says_so_of_its_newest_generation() {
        let conditions = json!([
            says("Progressing", "True", "NewReplicaSetAvailable"),
            says("Available", "True", "R")
        ]);
        let full = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generation": 2},
            "spec": {"replicas": 2, "progressDeadlineSeconds": 600},
            "status": {
                "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2,
                "availableReplicas": 2, "readyReplicas": 2, "conditions": conditions,
            },
        });
        let first = |said: Value| with(&full, "/status/conditions/0", said);
        told(
            &full,
            &[
                (
                    "/status/observedGeneration",
                    json!(1),
                    "its controller has seen generation 1 and not yet 2",
                ),
                ("/status/availableReplicas", json!(1), "1 of 2 replicas are available"),
                ("/status/updatedReplicas", json!(0), "0 of 2 replicas are updated"),
                ("/status/replicas", json!(3), "replicas of an older version still run"),
                ("/spec/replicas", json!(0), "2 replicas are there, and 0 are wanted"),
                ("/status/conditions", json!([]), "it has no condition Progressing yet"),
                ("/status", json!({}), "0 of 2 replicas are updated"),
            ],
        );
        let still = first(says("Progressing", "True", "ReplicaSetUpdated"));
        assert_eq!(unready(&still).as_deref(), Some("Progressing is True ReplicaSetUpdated m"));
        let late = first(says("Progressing", "False", "ProgressDeadlineExceeded"));
        assert_eq!(unready(&late).as_deref(), Some("its progress deadline passed"));
        let down = with(&full, "/status/conditions/1", says("Available", "False", "R"));
        assert_eq!(unready(&down).as_deref(), Some("Available is False R m"));
        // Without a progress deadline no condition reports progress.
        let endless = with(
            &first(says("Other", "True", "R")),
            "/spec/progressDeadlineSeconds",
            json!(i32::MAX),
        );
        assert_eq!(unready(&endless), None);
    }

    #[test]
    fn a_deployment_that_is_scaled_to_none_is_ready_when_its_pods_are_gone() {
        let scaled = |there: i64| {
            let status = json!({
                "replicas": there, "updatedReplicas": there, "availableReplicas": there,
                "readyReplicas": there, "conditions": [says("Available", "True", "R")],
            });
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 0},
                "status": status,
            })
        };
        assert_eq!(unready(&scaled(3)).as_deref(), Some("3 replicas are there, and 0 are wanted"));
        assert_eq!(unready(&scaled(0)), None);
    }

    #[test]
    fn a_replica_set_is_ready_when_all_its_pods_are_its_own_and_there() {
        let full = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": {"replicas": 2},
            "status": {
                "replicas": 2, "fullyLabeledReplicas": 2, "availableReplicas": 2,
                "readyReplicas": 2,
            },
        });
        told(
            &full,
            &[
                ("/status/fullyLabeledReplicas", json!(1), "1 of 2 replicas are labeled"),
                ("/status/readyReplicas", json!(1), "1 of 2 replicas are ready"),
                ("/spec/replicas", json!(1), "2 replicas are there, and 1 are wanted"),
                (
                    "/status/conditions",
                    json!([says("ReplicaFailure", "True", "FailedCreate")]),
                    "ReplicaFailure is True FailedCreate m",
                ),
            ],
        );
    }

    #[test]
    fn a_daemon_set_is_ready_when_its_controller_has_seen_it_and_it_runs_everywhere() {
        let full = json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"generation": 1},
            "status": {
                "observedGeneration": 1, "desiredNumberScheduled": 2, "currentNumberScheduled": 2,
                "updatedNumberScheduled": 2, "numberAvailable": 2, "numberReady": 2,
            },
        });
        told(
            &full,
            &[
                ("/status/observedGeneration", json!(null), "its controller has not seen it yet"),
                ("/metadata/generation", json!(null), "its controller has not seen it yet"),
                (
                    "/status/desiredNumberScheduled",
                    json!(null),
                    "its controller has not seen it yet",
                ),
                ("/status/currentNumberScheduled", json!(1), "1 of 2 replicas are there"),
                ("/status/numberReady", json!(1), "1 of 2 replicas are ready"),
            ],
        );
    }

    #[test]
    fn a_stateful_set_is_ready_when_what_its_strategy_replaces_by_itself_is_replaced() {
        let set = |strategy: Value, updated: i64, there: i64| {
            let status = json!({
                "replicas": there, "readyReplicas": there, "updatedReplicas": updated,
                "currentReplicas": there, "currentRevision": "a", "updateRevision": "b",
            });
            json!({
                "apiVersion": "apps/v1", "kind": "StatefulSet",
                "spec": {"replicas": 3, "updateStrategy": strategy}, "status": status,
            })
        };
        let part = |partition: i64| {
            let update = json!({"partition": partition});
            json!({"type": "RollingUpdate", "rollingUpdate": update})
        };
        assert_eq!(unready(&set(part(2), 1, 3)), None);
        assert_eq!(unready(&set(part(2), 0, 3)).as_deref(), Some("0 of 1 replicas are updated"));
        assert_eq!(unready(&set(part(5), 0, 3)), None);
        assert_eq!(unready(&set(part(0), 1, 3)).as_deref(), Some("1 of 3 replicas are updated"));
        assert_eq!(
            unready(&set(part(0), 3, 3)).as_deref(),
            Some("replicas of an older version still run")
        );
        assert_eq!(
            unready(&set(part(2), 1, 4)).as_deref(),
            Some("4 replicas are there, and 3 are wanted")
        );
        assert_eq!(unready(&set(json!({"type": "OnDelete"}), 0, 3)), None);
        let mut whole = with(
            &set(json!({"type": "RollingUpdate"}), 3, 3),
            "/status/currentRevision",
            json!("b"),
        );
        assert_eq!(unready(&whole), None);
        whole["status"]["currentReplicas"] = json!(2);
        assert_eq!(unready(&whole).as_deref(), Some("2 of 3 replicas are current"));
    }

    #[test]
    fn what_has_not_begun_is_not_ready_whatever_else_it_says() {
        let ready = json!([says("Ready", "True", "R")]);
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "status": {"phase": "Running", "conditions": ready},
        });
        told(
            &pod,
            &[
                ("/status/phase", json!("Pending"), "it is Pending and not Running"),
                ("/status/phase", json!("Failed"), "it is Failed and not Running"),
                ("/status/phase", json!(null), "it has no phase yet"),
                ("/status/conditions", json!([]), "it has no condition Ready yet"),
            ],
        );
        assert_eq!(
            unready(&json!({"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Succeeded"}})),
            None
        );
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "status": {"startTime": "2026-01-01T00:00:00Z"},
        });
        told(
            &job,
            &[
                ("/status/startTime", json!(""), "it has not begun"),
                ("/status/startTime", json!(null), "it has not begun"),
            ],
        );
        let ingress = json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}});
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "spec": {"type": "LoadBalancer", "clusterIP": "10.1.0.1"}, "status": ingress,
        });
        told(
            &service,
            &[
                ("/spec/clusterIP", json!(""), "it has no address yet"),
                ("/status", json!({}), "it has no address yet"),
            ],
        );
        let conditions =
            json!([says("NamesAccepted", "True", "R"), says("Established", "True", "R")]);
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "status": {"conditions": conditions},
        });
        told(
            &definition,
            &[
                ("/status/conditions/0/status", json!("False"), "NamesAccepted is False R m"),
                ("/status/conditions/1/status", json!("False"), "Established is False R m"),
            ],
        );
    }

    #[test]
    fn conditions_tell_of_every_other_kind() {
        let of = |kind: &str, status: &str| {
            let conditions = [says(kind, status, "R")];
            json!({"apiVersion": "x.dev/v1", "kind": "X", "status": {"conditions": conditions}})
        };
        assert_eq!(unready(&of("Ready", "True")), None);
        assert_eq!(unready(&of("Ready", "False")).as_deref(), Some("Ready is False R m"));
        assert_eq!(unready(&of("Stalled", "True")).as_deref(), Some("Stalled is True R m"));
        assert_eq!(unready(&of("Other", "False")), None);
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Pending"},
        });
        assert_eq!(unready(&claim).as_deref(), Some("it is Pending and not Bound"));
        let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        assert_eq!(unready(&going).as_deref(), Some("it is being deleted"));
    }
}
