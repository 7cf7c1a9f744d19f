//! Pods that are told to go, and those that are gone.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::objects::pod::strip::keep_success;

#[test]
fn a_pod_that_was_seen_to_succeed_stays_so_whatever_tells_it_to_go_later() {
    let kept = |mut pod: Pod| {
        strip(&mut pod);
        pod
    };
    let seen = [
        in_phase("Succeeded", done()),
        beside(running(), runs(done())),
        deleted_after(60, in_phase("Succeeded", done())),
    ];
    let later = [
        deleted_after(2, in_phase("Succeeded", done())),
        disruption_target(
            "EvictionByEvictionAPI",
            deleted_after(-3, beside(running(), runs(done()))),
        ),
        fails_by("Evicted", not_found()),
        deleted_after(-3, fails(error(143))),
    ];
    for (before, after) in
        seen.iter().flat_map(|before| later.iter().map(move |after| (before, after)))
    {
        let (before, mut after) = (kept(read(before.clone())), kept(read(after.clone())));
        assert!(!fits(&state(&after, Duration::ZERO), &Succeeded), "{after:?}");
        let another = |pod: &Pod| {
            let mut another = pod.clone();
            another.metadata.uid = Some("u2".into());
            another
        };
        let untouched = after.clone();
        for other in [None, Some(another(&before)), Some(kept(read(runs(running()))))] {
            keep_success(&mut after, other.as_ref());
            assert_eq!(after, untouched, "of none, of another, of one that had not ended");
        }
        keep_success(&mut after, Some(&before));
        assert!(
            fits(&state(&after, Duration::ZERO), &Succeeded)
                && fits(&gone(&after).into(), &Succeeded),
            "{after:?}"
        );
        // The next version is told by the one that is kept.
        let mut next = kept(read(deleted_after(-3, fails(error(143)))));
        keep_success(&mut next, Some(&after));
        assert!(fits(&gone(&next).into(), &Succeeded), "{next:?}");
    }
}

#[test]
fn a_pod_that_is_gone_is_judged_by_its_last_status() {
    let cases = [
        (
            unbound(on_node(json!({"phase": "Pending"}))),
            Nothing("was bound to no node: no reason is given"),
        ),
        (
            disruption_target(
                "PreemptionByScheduler",
                unbound(on_node(json!({"phase": "Pending"}))),
            ),
            Disrupted("was bound to no node"),
        ),
        (runs(running()), Unknown("was deleted while it may have run on node n1")),
        (unbound(runs(running())), Unknown("was deleted while it may have run on its node")),
        (pending("ContainerCreating", ""), Unknown("was deleted while it may have run on node n1")),
        (fails(error(3)), Answer("exit code 3")),
    ];
    for (value, expect) in cases {
        let state = gone(&read(value.clone())).into();
        assert!(fits(&state, &expect), "{value}: {state:?}, not {expect:?}");
    }
}

#[test]
fn a_node_that_does_not_end_a_pod_in_time_is_named() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let mut pod = read(deleted(runs(running())));
    assert_eq!(stuck(&pod, at("2026-03-01T09:59:00Z")), None, "the grace still runs");
    assert_eq!(stuck(&pod, at("2026-03-01T10:01:00Z")), None);
    assert_eq!(
        stuck(&pod, at("2026-03-01T10:01:01Z")).as_deref(),
        Some("may still run on node n1")
    );
    assert_eq!(
        stuck(&read(runs(running())), at("2026-03-01T10:01:01Z")),
        None,
        "nobody deleted it"
    );
    assert_eq!(
        stuck(&read(deleted(fails(error(3)))), at("2026-03-01T11:00:00Z")),
        None,
        "it has ended, and a finalizer keeps it"
    );

    pod.metadata.deletion_timestamp = Some(Time(Timestamp::MIN));
    assert!(stuck(&pod, Timestamp::MAX).is_some());
}
