//! Pods whose container ended by itself, or with exit code 0.

use super::*;

pub(super) fn ends_by_itself() -> Vec<Fixture> {
    let said = fails(says(3, "Error", "no such\norder\u{1b}\n"));
    vec![
        ("succeeded", in_phase("Succeeded", done()), Succeeded),
        ("succeeded without statuses", on_node(json!({"phase": "Succeeded"})), Succeeded),
        ("exit 3", said, Answer("exit code 3 (Error): no such order")),
        ("exit 3 just before a deletion", deleted(fails(error(3))), Answer("exit code 3 (Error)")),
        (
            "exit 3, bound to nothing, as a test may write it",
            unbound(fails(error(3))),
            Answer("exit code 3 (Error)"),
        ),
        ("crash", fails(error(139)), Answer("exit code 139 (Error)")),
        ("killed by nobody known", fails(error(137)), Answer("exit code 137 (Error)")),
        ("out of memory", fails(exited(137, "OOMKilled")), Answer("exit code 137 (OOMKilled)")),
        (
            "out of memory while deleted",
            deleted(fails(exited(137, "OOMKilled"))),
            Answer("exit code 137 (OOMKilled)"),
        ),
        (
            "no such program",
            fails(no_program()),
            Nothing("no container started: StartError: exec: no such file"),
        ),
        ("exit 0, phase not yet written", runs(done()), Succeeded),
    ]
}

/// Exit code 0 of Pods that something tells to go: done only where the end came before.
pub(super) fn ends_with_zero_and_is_told_to_go() -> Vec<Fixture> {
    let succeeded = || in_phase("Succeeded", done());
    let drained = |pod| disruption_target("EvictionByEvictionAPI", pod);
    let may_be = Unknown(
        "was ended with exit code 0 and may have done its work (finishesOnSigterm: true would say \
         that it has): ",
    );
    let may_be = || if let Unknown(begins) = may_be { Unknown(begins) } else { unreachable!() };
    let mut nobody_knows_when = in_phase("Succeeded", done());
    nobody_knows_when["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"].take();
    let mut terminated = succeeded();
    terminated["status"]["reason"] = json!("Terminated");
    vec![
        ("clearly before its deletion", deleted_after(11, succeeded()), Succeeded),
        ("clearly before its drain", drained(deleted_after(60, succeeded())), Succeeded),
        (
            "clearly before its deletion, a proxy runs on",
            deleted_after(60, beside(running(), runs(done()))),
            Succeeded,
        ),
        ("at its deletion, as far as two clocks tell", deleted_after(10, succeeded()), may_be()),
        ("on SIGTERM", deleted_after(-3, succeeded()), may_be()),
        ("drained", drained(deleted_after(-3, succeeded())), may_be()),
        ("to be disrupted", drained(succeeded()), may_be()),
        ("node shut down", terminated, may_be()),
        (
            "evicted long before its deletion",
            deleted_after(60, fails_by("Evicted", done())),
            may_be(),
        ),
        (
            "a proxy did not, when both were told",
            deleted_after(-3, beside(error(143), fails(done()))),
            may_be(),
        ),
        (
            "a proxy is still told",
            deleted_after(-3, beside(running(), runs(done()))),
            Active("is being deleted"),
        ),
        ("nobody knows when", deleted_after(60, nobody_knows_when), may_be()),
        ("nobody knows what", deleted(on_node(json!({"phase": "Succeeded"}))), may_be()),
        ("nobody knows the grace", deleted(succeeded()), may_be()),
        ("always done, deleted", finishes(deleted_after(-3, succeeded())), Succeeded),
        ("always done, evicted", finishes(fails_by("Evicted", done())), Succeeded),
        (
            "always done, a proxy is still told",
            finishes(deleted_after(-3, beside(running(), runs(done())))),
            Succeeded,
        ),
        (
            "always done, but it was not",
            finishes(deleted_after(-3, fails(error(143)))),
            Unknown("was ended with exit code 143"),
        ),
    ]
}

pub(super) fn ends_beside_a_proxy() -> Vec<Fixture> {
    vec![
        ("a proxy failed after exit 0", beside(error(1), fails(done())), Succeeded),
        ("a proxy runs on after exit 0", beside(running(), runs(done())), Succeeded),
        (
            "a proxy runs on after exit 3",
            beside(running(), runs(error(3))),
            Answer("exit code 3 (Error)"),
        ),
        (
            "a proxy runs, no such program",
            beside(running(), runs(no_program())),
            Nothing("no container started: StartError"),
        ),
        (
            "a proxy runs on after SIGTERM",
            beside(running(), runs(error(143))),
            Active("has exited with code 143"),
        ),
        (
            "a proxy's exit says nothing",
            beside(error(1), runs(running())),
            Active("runs on node n1"),
        ),
        (
            "a proxy runs on after exit 1 of one to be disrupted",
            disruption_target("TerminationByKubelet", beside(running(), runs(error(1)))),
            Active("has exited with code 1"),
        ),
    ]
}
