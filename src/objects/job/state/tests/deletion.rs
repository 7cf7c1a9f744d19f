//! Jobs that are deleted, suspended or gone.

use super::*;

/// With a verdict of this instant, and a deletion at 10:00:00.
fn deleted_after_its_verdict(verdict: &str, at: &str) -> Value {
    deleted(changed(
        job(&[]),
        "/status/conditions",
        json!([{"type": verdict, "status": "True", "lastTransitionTime": at}]),
    ))
}

#[test]
fn a_job_that_was_told_to_end_is_done_only_where_its_pods_were_before_they_were_told() {
    let on_sigterm = || deleted(exited(0, 0, r#"{"half": true}"#));
    let may_be = "unknown: was ended with exit code 0 and may have done its work";
    let late = || deleted_after_its_verdict("Complete", "2026-03-01T09:59:50Z");
    assert!(seen(late(), job_pods(&[on_sigterm()], &[])).starts_with(may_be));
    assert!(ended(late(), job_pods(&[], &[on_sigterm()])).unwrap().starts_with(may_be));
    assert!(
        ended(deleted(job(&[])), job_pods(&[], &[on_sigterm()])).unwrap().starts_with(may_be),
        "its last copy may know of nothing"
    );
    assert_eq!(
        seen(late(), KnownPods::default()),
        "unknown: was stopped before it was done, and its pods may have done their work"
    );
    assert_eq!(
        seen(late(), job_pods(&[exited(0, 0, "")], &[])),
        "succeeded: null",
        "the pod was not told"
    );
    assert_eq!(seen(late(), job_pods(&[running(0)], &[])), "active: is being deleted");
    // The Job, and so its pods, had ended before.
    let early = || deleted_after_its_verdict("Complete", "2026-03-01T09:59:49Z");
    assert_eq!(seen(early(), job_pods(&[on_sigterm()], &[])), r#"succeeded: {"half":true}"#);
    let annotations = json!({"saga.dev/container": "step", "saga.dev/finishes-on-sigterm": "true"});
    let said = changed(on_sigterm(), "/metadata/annotations", annotations);
    assert_eq!(
        seen(late(), job_pods(&[said], &[])),
        r#"succeeded: {"half":true}"#,
        "its author says so"
    );
    // A drain is not told to the Job: what it counts is its business.
    assert_eq!(
        seen(job(&["Complete"]), job_pods(&[on_sigterm()], &[])),
        r#"succeeded: {"half":true}"#
    );
    // Suspended, it counts what its pods are told to end with.
    let suspended = || job(&["Suspended", "Complete"]);
    assert!(seen(suspended(), job_pods(&[on_sigterm()], &[])).starts_with(may_be));
    assert_eq!(seen(suspended(), job_pods(&[exited(0, 0, "")], &[])), "succeeded: null");
    let some = job_pods(&[exited(0, 0, ""), exited(1, 0, ""), deleted(exited(2, 0, ""))], &[]);
    assert!(seen(indexed(&["Suspended", "Complete"]), some).starts_with(may_be), "two of three");
    assert!(
        wants_pods(&read(suspended()), &job_pods(&[on_sigterm()], &[])),
        "those that are known may be old"
    );
}

#[test]
fn a_job_that_was_seen_to_finish_stays_so_whoever_deletes_or_suspends_it_later() {
    for (verdict, later) in
        [("Complete", deleted(job(&["Complete"]))), ("Failed", deleted(job(&["Failed"])))]
    {
        let (mut before, mut after) = (read(job(&[verdict])), read(later));
        job::strip::strip(&mut before);
        job::strip::strip(&mut after);
        let untouched = after.clone();
        let mut goes_on = read(job(&[]));
        job::strip::strip(&mut goes_on);
        job::strip::keep_end(&mut after, None);
        job::strip::keep_end(&mut after, Some(&goes_on));
        assert_eq!(after, untouched);
        let pods = || {
            job_pods(
                &[],
                &[if verdict == "Complete" {
                    deleted(exited(0, 0, ""))
                } else {
                    exited(0, 3, "no")
                }],
            )
        };
        job::strip::keep_end(&mut after, Some(&before));
        let expected = if verdict == "Complete" {
            "succeeded: null"
        } else {
            "Answer Some(3): exit code 3 (Error): no"
        };
        assert_eq!(gone(&after, &pods()).map(|end| told(&end.into())).as_deref(), Some(expected));
    }
}

#[test]
fn the_pods_of_a_job_that_let_go_of_them_end_it_by_their_own_word() {
    // `kubectl delete job --cascade=orphan`: the last copy of the Job says nothing of an end, and
    // its pods were not told to go.
    assert_eq!(
        ended(job(&[]), job_pods(&[exited(0, 0, r#"{"a": 1}"#)], &[])).unwrap(),
        r#"succeeded: {"a":1}"#
    );
    assert_eq!(
        ended(job(&[]), job_pods(&[exited(0, 3, "no")], &[])).unwrap(),
        "Answer Some(3): exit code 3 (Error): no"
    );
    let all = [exited(0, 0, r#"{"part": 0}"#), exited(1, 0, ""), exited(2, 0, "")];
    assert_eq!(ended(indexed(&[]), job_pods(&all, &[])).unwrap(), r#"succeeded: {"part":0}"#);
    assert!(
        ended(indexed(&[]), job_pods(&all[..2], &[])).unwrap().starts_with("unknown: "),
        "one part was never made"
    );
    let twice = [
        exited(0, 0, ""),
        changed(exited(0, 0, ""), "/metadata/uid", json!("p9")),
        exited(1, 0, ""),
    ];
    assert!(ended(indexed(&[]), job_pods(&twice, &[])).unwrap().starts_with("unknown: "));
}

#[test]
fn a_job_that_is_being_deleted_only_succeeds() {
    assert_eq!(
        seen(deleted(job(&[])), job_pods(&[exited(0, 3, "")], &[])),
        "active: is being deleted"
    );
    assert_eq!(
        seen(deleted(job(&["Failed"])), job_pods(&[deleted(exited(0, 143, ""))], &[])),
        "active: is being deleted"
    );
    assert_eq!(
        seen(deleted(job(&["Complete"])), job_pods(&[exited(0, 0, "")], &[])),
        "succeeded: null"
    );
    assert_eq!(
        told(
            &gone(&read(deleted(job(&[]))), &job_pods(&[exited(0, 3, "no")], &[])).unwrap().into()
        ),
        "Answer Some(3): exit code 3 (Error): no"
    );
}

#[test]
fn a_job_that_is_gone_ends_when_its_pods_have() {
    assert_eq!(ended(deleted(job(&[])), job_pods(&[running(0)], &[])), None);
    let end = |last: Value, pods: &[Value]| ended(last, job_pods(&[], pods)).unwrap();
    assert!(
        end(deleted(job(&[])), &[deleted(exited(0, 143, ""))])
            .starts_with("unknown: was ended with exit code 143")
    );
    assert_eq!(
        end(deleted(job(&[])), &[deleted(exited(0, 3, "no"))]),
        "Answer Some(3): exit code 3 (Error): no"
    );
    assert_eq!(
        end(deleted(job(&["Complete"])), &[exited(0, 0, r#"{"a": 1}"#)]),
        r#"succeeded: {"a":1}"#
    );
    assert!(
        end(indexed(&["Failed"]), &[exited(0, 3, "")]).starts_with("Answer Some(3)"),
        "it had failed when somebody deleted it"
    );
    assert!(
        end(deleted(indexed(&[])), &[never_bound(0)])
            .starts_with("Nothing None: was bound to no node")
    );
    assert_eq!(end(deleted(job(&[])), &[]), "Nothing None: was deleted before a pod of it started");
    assert!(
        end(deleted(indexed(&[])), &[never_bound(0), deleted(exited(1, 143, ""))])
            .starts_with("unknown: was ended with")
    );
}

#[test]
fn of_a_job_that_was_suspended_there_may_have_been_pods_that_nobody_counted() {
    let was =
        changed(job(&[]), "/status/conditions", json!([{"type": "Suspended", "status": "False"}]));
    let unseen = KnownPods { whole: false, ..KnownPods::default() };
    assert_eq!(
        ended(deleted(was.clone()), unseen.clone()).unwrap(),
        "unknown: was deleted while a pod of it may have run"
    );
    assert_eq!(
        ended(deleted(was), KnownPods { whole: true, ..KnownPods::default() }).unwrap(),
        "Nothing None: was deleted before a pod of it started"
    );
    assert_eq!(
        ended(deleted(job(&[])), unseen).unwrap(),
        "Nothing None: was deleted before a pod of it started"
    );
}

#[test]
fn a_pod_that_the_job_counts_and_nobody_saw_may_have_run() {
    let counts = |active: i32| changed(deleted(job(&[])), "/status/active", json!(active));
    let may_have_run = "unknown: was deleted while a pod of it may have run";
    assert_eq!(ended(counts(1), job_pods(&[], &[])).unwrap(), may_have_run);
    assert_eq!(
        ended(counts(0), job_pods(&[], &[])).unwrap(),
        "Nothing None: was deleted before a pod of it started"
    );
    assert!(
        ended(counts(1), job_pods(&[], &[never_bound(0)]))
            .unwrap()
            .starts_with("Nothing None: was bound to no node"),
        "it was seen"
    );
    let two = changed(
        changed(deleted(indexed(&[])), "/status/active", json!(1)),
        "/status/failed",
        json!(1),
    );
    assert!(
        ended(two, job_pods(&[], &[never_bound(0)])).unwrap().starts_with("unknown: "),
        "one of two was seen"
    );
}
