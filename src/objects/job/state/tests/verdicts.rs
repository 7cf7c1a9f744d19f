//! How a Job that has finished is told of.

use super::*;

#[test]
fn a_job_that_is_complete_hands_on_the_word_of_one_pod() {
    let all = [exited(0, 0, r#"{"part": 0}"#), exited(1, 0, r#"{"part": 1}"#), exited(2, 0, "")];
    for complete in
        [["Complete"].as_slice(), &["SuccessCriteriaMet"], &["SuccessCriteriaMet", "Complete"]]
    {
        assert_eq!(seen(indexed(complete), job_pods(&all, &[])), r#"succeeded: {"part":0}"#);
    }
    let plain = changed(indexed(&["Complete"]), "/spec/completionMode", json!("NonIndexed"));
    assert_eq!(
        seen(plain.clone(), job_pods(&all, &[])),
        "succeeded: null",
        "nobody knows which one is meant"
    );
    assert!(!wants_pods(&read(plain), &KnownPods::default()));
    // One that failed and was tried again.
    let again = changed(job(&["Complete"]), "/spec/backoffLimit", json!(2));
    assert_eq!(
        seen(again, job_pods(&[exited(0, 3, ""), exited(1, 0, r#"{"try": 2}"#)], &[])),
        r#"succeeded: {"try":2}"#
    );
    let workers = changed(job(&["Complete"]), "/spec/parallelism", json!(2));
    assert_eq!(
        seen(workers, job_pods(&[exited(0, 0, "done"), exited(1, 0, r#"{"it": 1}"#)], &[])),
        r#"succeeded: {"it":1}"#
    );
}

#[test]
fn nothing_is_settled_while_a_pod_runs_unless_the_job_has_finished() {
    let some = || job_pods(&[exited(0, 3, "no"), running(1)], &[]);
    assert_eq!(
        seen(indexed(&["FailureTarget"]), some()),
        "active: fails; the end of its pods is awaited"
    );
    assert_eq!(
        seen(indexed(&["SuccessCriteriaMet"]), some()),
        "active: succeeds; the end of its pods is awaited"
    );
    assert_eq!(
        seen(indexed(&["FailureTarget", "Failed"]), some()),
        "Work Some(3): pod j-0: exit code 3 (Error): no"
    );
}

#[test]
fn a_job_that_failed_is_told_of_by_its_newest_pod_that_said_no_by_itself() {
    let failed = |pods: &[Value], gone: &[Value]| seen(indexed(&["Failed"]), job_pods(pods, gone));
    assert_eq!(
        failed(&[exited(0, 3, "a"), exited(1, 4, "b"), exited(2, 0, "")], &[]),
        "Work Some(4): pod j-1: exit code 4 (Error): b"
    );
    // What one of them says counts for the key that they share only where all that started say the
    // same.
    assert_eq!(
        failed(&[exited(0, 3, "a"), exited(1, 3, "b")], &[never_bound(2)]),
        "Answer Some(3): pod j-1: exit code 3 (Error): b"
    );
    let lost = KnownPods { lost: true, ..job_pods(&[exited(0, 3, "a")], &[]) };
    assert_eq!(seen(indexed(&["Failed"]), lost), "Work Some(3): pod j-0: exit code 3 (Error): a");
    // Those that the Job ended for it are no answers.
    assert_eq!(
        failed(&[exited(0, 3, "a"), deleted(exited(1, 143, ""))], &[deleted(exited(2, 143, ""))]),
        "Work Some(3): pod j-0: exit code 3 (Error): a"
    );
    assert!(
        failed(&[deleted(exited(1, 143, ""))], &[])
            .starts_with("unknown: was ended with exit code 143")
    );
    let counted = changed(indexed(&["Failed"]), "/status/failed", json!(1));
    assert_eq!(
        seen(counted, KnownPods { whole: true, ..KnownPods::default() }),
        "unknown: BackoffLimitExceeded: reached the limit"
    );
    let lost = KnownPods { lost: true, ..job_pods(&[], &[never_bound(0)]) };
    assert_eq!(
        seen(indexed(&["Failed"]), lost),
        "unknown: BackoffLimitExceeded: reached the limit"
    );
    assert!(failed(&[], &[never_bound(0)]).starts_with("Nothing None: was bound to no node"));
    assert_eq!(failed(&[], &[]), "Nothing None: BackoffLimitExceeded: reached the limit");
    let half = changed(indexed(&["Failed"]), "/status/succeeded", json!(1));
    assert!(
        seen(half, job_pods(&[exited(0, 0, "")], &[never_bound(1)])).starts_with("unknown: "),
        "one part is done"
    );
    let taint =
        json!([{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]);
    let disrupted = changed(never_bound(0), "/status/conditions", taint);
    assert!(failed(&[], &[disrupted]).starts_with("Nothing None disrupted: was bound to no node"));
}
