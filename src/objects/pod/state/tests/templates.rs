//! Pods of a template: which container decides, and which have no say.

use super::*;

/// A Pod of a template in which the container `ship` decides; `init`: the state of its init
/// container.
fn of_template(init: Value, mut pod: Value) -> Value {
    pod["metadata"]["annotations"] = json!({"saga.dev/container": "ship"});
    if let Some(containers) = pod["status"]["containerStatuses"].as_array_mut() {
        for container in containers.iter_mut() {
            container["name"] = json!("ship");
        }
        containers.insert(0, container("step-beside", running()));
    }
    if !init.is_null() {
        pod["status"]["initContainerStatuses"] = json!([container("fetch", init)]);
    }
    pod
}

#[test]
fn the_template_says_which_container_decides_and_what_runs_before_it_counts_as_begun() {
    let initializing = || pending("PodInitializing", "");
    let nothing = Value::Null;
    let cases = [
        (of_template(nothing.clone(), runs(done())), Succeeded),
        (of_template(nothing.clone(), runs(error(3))), Answer("exit code 3 (Error)")),
        (of_template(nothing.clone(), runs(running())), Active("runs on node n1")),
        (
            of_template(nothing.clone(), runs(no_program())),
            Nothing("no container started: StartError"),
        ),
        (
            of_template(nothing, fails_by("Evicted", not_found())),
            Disrupted("no container started: Evicted"),
        ),
        (
            of_template(says(7, "Error", "no such file"), fails(waiting("PodInitializing", ""))),
            Answer("init container fetch: exit code 7 (Error): no such file"),
        ),
        (
            of_template(error(7), fails_by("Evicted", waiting("PodInitializing", ""))),
            Unknown("may have done its work: Evicted"),
        ),
        (
            of_template(done(), fails_by("Evicted", not_found())),
            Unknown("was ended with exit code 137 and may have done its work: Evicted"),
        ),
        (of_template(done(), fails(error(3))), Answer("exit code 3 (Error)")),
        (of_template(error(7), initializing()), Active("waits on node n1: PodInitializing")),
        (
            of_template(waiting("ImagePullBackOff", "no image"), initializing()),
            Active("waits on node n1: init container fetch: ImagePullBackOff: no image"),
        ),
        (
            of_template(
                waiting("ImagePullBackOff", "no image"),
                fails_by("DeadlineExceeded", waiting("PodInitializing", "")),
            ),
            Nothing("no container started: DeadlineExceeded: see node; ImagePullBackOff: no image"),
        ),
    ];
    for (value, expect) in cases {
        let whole = read(value);
        let state = state(&whole, Duration::ZERO);
        assert!(fits(&state, &expect), "{state:?}, not {expect:?}");
        let mut stripped = whole.clone();
        strip(&mut stripped);
        assert_eq!(super::state(&stripped, Duration::ZERO), state);
    }
}

#[test]
fn what_a_webhook_runs_before_the_container_has_no_say_nor_has_what_runs_on_beside_it() {
    let mut injected = fails_by("Evicted", not_found());
    injected["status"]["initContainerStatuses"] = json!([container("mesh", done())]);
    let mut beside = of_template(running(), fails_by("Evicted", not_found()));
    beside["spec"]["initContainers"] = json!([{"name": "fetch", "restartPolicy": "Always"}]);
    for value in [injected, beside] {
        let whole = read(value);
        let mut stripped = whole.clone();
        strip(&mut stripped);
        for pod in [whole, stripped] {
            assert!(
                fits(&state(&pod, Duration::ZERO), &Disrupted("no container started: Evicted")),
                "{pod:?}"
            );
        }
    }
}

#[test]
fn the_container_that_decides_hands_on() {
    let mut pod = of_template(
        Value::Null,
        in_phase("Succeeded", says(0, "Completed", r#"{"from": "ship"}"#)),
    );
    pod["status"]["containerStatuses"][0]["state"] = says(0, "Completed", r#"{"from": "beside"}"#);
    let expected = json!({"from": "ship"}).as_object().cloned();
    assert_eq!(state(&read(pod), Duration::ZERO), ChildState::Ended(End::Succeeded(expected)));
}
