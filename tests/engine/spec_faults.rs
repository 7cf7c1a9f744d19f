//! The faults of a spec: each fault says where it is and what to write instead.

use serde_json::{Value, json};

use crate::{
    spec::{check, with},
    spec_faults_of_work::{Case, key, of_pods, of_requests, trusting},
};

/// Returns what can be wrong with the saga itself and with the common parts of its steps.
fn of_the_saga() -> Vec<Case> {
    vec![
        ("/idempotencyPrefix", json!("a/b"), "spec.idempotencyPrefix: must have 1 to 63 letters"),
        ("/idempotencyPrefix", json!(""), "spec.idempotencyPrefix: must have 1 to 63 letters"),
        (
            "/serviceAccountName",
            json!("../x"),
            "spec.serviceAccountName: must be the name of a ServiceAccount",
        ),
        ("/maxParallel", json!(0), "spec.maxParallel: must be 1 to 64"),
        ("/maxParallel", json!(65), "spec.maxParallel: must be 1 to 64"),
        ("/steps", json!([]), "spec.steps: must have 1 to 128 steps"),
        (
            "/defaults/timeout",
            json!("0s"),
            "spec.defaults.timeout: is 0ns: must be a positive duration such as 90s or 1m30s",
        ),
        (
            "/defaults/retry/maxAttempts",
            json!(0),
            "spec.defaults.retry.maxAttempts: counts all attempts, the first included: write 1",
        ),
        (
            "/defaults/compensationRetry/deadline",
            json!("-1s"),
            "spec.defaults.compensationRetry.deadline: is -1s: must be a positive",
        ),
        (
            "/defaults/retry/backoff",
            json!({"initialDelay": "2s", "maxDelay": "1s"}),
            "spec.defaults.retry.backoff.maxDelay: maxDelay is shorter",
        ),
        (
            "/defaults/retry/backoff/jitter",
            json!(1.01),
            "spec.defaults.retry.backoff.jitter: must be 0 to 1",
        ),
        ("/steps/1/name", json!("A"), "spec.steps[1].name: must be a DNS label"),
        ("/steps/1/name", json!("-a"), "spec.steps[1].name: must be a DNS label"),
        ("/steps/1/name", json!("a".repeat(64)), "spec.steps[1].name: must be a DNS label"),
        (
            "/steps/1/name",
            json!("a"),
            "spec.steps[1].name: another step is named a already: choose another name",
        ),
        (
            "/steps/0/dependsOn",
            json!(["b"]),
            "spec.steps[0].dependsOn[0]: no step named b stands above this one",
        ),
        (
            "/steps/1/dependsOn",
            json!(["a", "b"]),
            "spec.steps[1].dependsOn[1]: no step named b stands above this one",
        ),
        (
            "/steps/1/dependsOn",
            json!(["a", "a"]),
            "spec.steps[1].dependsOn[1]: names a step twice: name it once",
        ),
        (
            "/steps/1/http",
            json!({"method": "GET", "url": "http://x.svc"}),
            "spec.steps[1]: has exactly one action: set one of pod, job, http, apply, delete, \
             approval, wait and saga",
        ),
        (
            "/steps/1/pod",
            Value::Null,
            "spec.steps[1]: has exactly one action: set one of pod, job, http, apply, delete, \
             approval, wait and saga",
        ),
        ("/steps/0/compensation", json!({}), "spec.steps[0].compensation: has exactly one action"),
        (
            "/steps/0/timeout",
            json!("-5s"),
            "spec.steps[0].timeout: is -5s: must be a positive duration",
        ),
        (
            "/steps/0/compensation/timeout",
            json!("0s"),
            "spec.steps[0].compensation.timeout: is 0ns",
        ),
        (
            "/steps/0/retry/maxAttempts",
            json!(1_000_001),
            "spec.steps[0].retry.maxAttempts: counts all attempts",
        ),
        (
            "/steps/0/compensation/retry/deadline",
            json!("0s"),
            "spec.steps[0].compensation.retry.deadline: is 0ns",
        ),
        (
            "/steps/0/retry/backoff/initialDelay",
            json!("0s"),
            "spec.steps[0].retry.backoff.initialDelay: is 0ns",
        ),
        (
            "/steps/0/retry/backoff/maxDelay",
            json!("500ms"),
            "spec.steps[0].retry.backoff.maxDelay: maxDelay is shorter than the initialDelay that",
        ),
        (
            "/steps/0/retry/backoff/jitter",
            json!(-0.1),
            "spec.steps[0].retry.backoff.jitter: must be 0 to 1",
        ),
    ]
}

#[test]
fn each_fault_says_where_it_is_and_what_to_write_instead() {
    let cases = [of_the_saga(), of_pods(), of_requests()].concat();
    assert!(check(&with("/maxParallel", json!(3))).is_ok());
    for source in ["secretKeyRef", "configMapKeyRef"] {
        assert!(
            check(&with("/steps/0/http", trusting("https", json!({source: key("shop-ca")}))))
                .is_ok()
        );
    }
    let mut wrong = Vec::new();
    for (pointer, value, expected) in cases {
        match check(&with(pointer, value)) {
            Err(faults) if faults.len() == 1 && faults[0].starts_with(expected) => {}
            other => wrong.push((expected, other.map(|_| "valid"))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_step_depends_on_at_most_16_others() {
    let names: Vec<_> = (0..17).map(|place| format!("s{place}")).collect();
    let mut steps: Vec<_> =
        names.iter().map(|name| json!({"name": name, "pod": {"image": "x"}})).collect();
    steps.push(json!({"name": "end", "pod": {"image": "x"}, "dependsOn": names}));
    assert_eq!(
        check(&json!({"steps": steps})).unwrap_err(),
        ["spec.steps[17].dependsOn: may name at most 16 steps"]
    );
}

#[test]
fn all_faults_are_found_each_once_in_the_order_of_the_fields() {
    let step = |name: &str| {
        json!({
            "name": name, "http": {"method": "GET", "url": "x"},
            "compensation": {"http": {"method": "GET", "url": "http://x.svc"}},
        })
    };
    let faults = check(&json!({
        "maxParallel": 0,
        "defaults": {"timeout": "0s", "retry": {"backoff": {"jitter": 2.0}}},
        "steps": [step("a"), step("b"), step("C")],
    }));
    let faults = faults.unwrap_err();
    let paths: Vec<_> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    let expected = [
        "spec.maxParallel",
        "spec.defaults.timeout",
        "spec.defaults.retry.backoff.jitter",
        "spec.steps[0].http.url",
        "spec.steps[1].http.url",
        "spec.steps[2].name",
        "spec.steps[2].http.url",
    ];
    assert_eq!(paths, expected);
}
