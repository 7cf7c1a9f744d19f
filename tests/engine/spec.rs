//! What makes a spec invalid, and what applies where it sets nothing.

use std::time::Duration;

use saga_operator::{
    api::{BackoffType, DeletionPolicy, OnFailure, SagaSpec},
    model::saga::{Retry, SagaName, ValidSaga, ValidStep, Work},
    validate::{saga::validate, warnings::warnings},
};
use serde_json::{Value, json};

fn who() -> SagaName {
    SagaName { name: "order-1042".into(), namespace: "shop".into(), uid: "0d1c".into() }
}

fn check(spec: &Value) -> Result<ValidSaga, Vec<String>> {
    let spec: SagaSpec = serde_json::from_value(spec.clone()).unwrap();
    validate(&who(), &spec).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

/// A valid spec with one value set.
fn with(pointer: &str, value: Value) -> Value {
    let mut spec = json!({"steps": [
        {
            "name": "a", "http": {"method": "POST", "url": "http://a.shop.svc/x"},
            "compensation": {"pod": {"image": "undo-a:1"}},
        },
        {"name": "b", "dependsOn": ["a"], "pod": {"image": "b:1"}},
    ]});
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let mut at = &mut spec;
    for part in parent.split('/').skip(1) {
        at = match part.parse::<usize>() {
            Ok(place) => &mut at[place],
            Err(_) => &mut at[part],
        };
    }
    match name.parse::<usize>() {
        Ok(place) => at[place] = value,
        Err(_) => at[name] = value,
    }
    spec
}

/// A template of one container with these fields.
fn template(fields: &Value) -> Value {
    let mut container = json!({"name": "step", "image": "ship:1"});
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"spec": {"containers": [container]}})
}

#[test]
fn each_fault_says_where_it_is_and_what_to_write_instead() {
    let header = |name: &str, value: &str| json!([{"name": name, "value": value}]);
    let secret = |name: &str, key: &str| {
        json!([{
            "name": "X", "valueFrom": {"secretKeyRef": {"name": name, "key": key}},
        }])
    };
    let key = |name: &str| json!({"name": name, "key": "ca.crt"});
    let trusting = |scheme: &str, ca: Value| {
        json!({
            "method": "GET", "url": format!("{scheme}://a/b"), "tls": {"ca": ca},
        })
    };
    let cases = [
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
            json!({"method": "GET", "url": "http://x"}),
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
        ("/steps/1/pod/image", json!(""), "spec.steps[1].pod.image: must name an image"),
        (
            "/steps/1/pod/image",
            json!("x".repeat(1025)),
            "spec.steps[1].pod.image: has 1025 characters: at most 1024 are taken",
        ),
        (
            "/steps/1/pod/args",
            json!(vec!["x"; 257]),
            "spec.steps[1].pod.args: has 257 entries: at most 256 are taken",
        ),
        (
            "/steps/1/pod/command",
            json!(vec!["x"; 257]),
            "spec.steps[1].pod.command: has 257 entries",
        ),
        (
            "/steps/1/pod/env",
            json!(vec![json!({"name": "X"}); 129]),
            "spec.steps[1].pod.env: has 129 entries",
        ),
        (
            "/steps/1/pod/envFrom",
            json!(vec![json!({}); 33]),
            "spec.steps[1].pod.envFrom: has 33 entries",
        ),
        (
            "/steps/1/pod/env",
            json!([{"name": "SAGA_UID"}]),
            "spec.steps[1].pod.env[0].name: names that begin with SAGA_ are set by",
        ),
        (
            "/steps/1/pod/args",
            json!(["--id", "${params.id}"]),
            "spec.steps[1].pod.args[1]: ${params.id}: there is no field id",
        ),
        (
            "/steps/1/pod/finalExitCodes",
            json!([1, 0]),
            "spec.steps[1].pod.finalExitCodes[1]: must be 1 to 255",
        ),
        (
            "/steps/0/compensation/pod/finalExitCodes",
            json!([256]),
            "spec.steps[0].compensation.pod.finalExitCodes[0]: must be 1 to 255",
        ),
        (
            "/steps/1/pod/finalExitCodes",
            json!(vec![7; 33]),
            "spec.steps[1].pod.finalExitCodes: has 33 entries: at most 32 are taken",
        ),
        (
            "/steps/1/pod",
            json!({"args": ["a"]}),
            "spec.steps[1].pod: set exactly one of image and template",
        ),
        (
            "/steps/1/pod",
            json!({"image": "a", "template": template(&json!({}))}),
            "spec.steps[1].pod: set exactly one of image and template",
        ),
        (
            "/steps/1/pod",
            json!({"args": [], "template": template(&json!({}))}),
            "spec.steps[1].pod: with a template, command, args, env",
        ),
        ("/steps/1/pod", json!({"template": 7}), "spec.steps[1].pod.template: must be an object"),
        (
            "/steps/1/pod",
            json!({"template": template(&json!({"imag": "a"}))}),
            "spec.steps[1].pod.template.spec.containers[0].imag: is no field",
        ),
        (
            "/steps/0/compensation/pod",
            json!({"template": template(&json!({"env": [{"name": "SAGA_UID"}]}))}),
            "spec.steps[0].compensation.pod.template.spec.containers[0].env[0].name: names that \
             begin with SAGA_",
        ),
        (
            "/steps/1/pod",
            json!({"template": template(&json!({"args": ["${steps.a.phase}"], "argz": []}))}),
            "spec.steps[1].pod.template.spec.containers[0].argz: is no field",
        ),
        (
            "/steps/1/pod",
            json!({"template": template(&json!({"image": "${steps.a.phase}"}))}),
            "spec.steps[1].pod.template.spec.containers[0].image: ${steps.a.phase} reads steps, \
             which is not known here",
        ),
        (
            "/steps/1/pod",
            json!({
                "template": {
                    "spec": {
                        "serviceAccountName": "admin",
                        "containers": [{"name": "a", "args": ["${steps.a.phase}"]}],
                    },
                },
            }),
            "spec.steps[1].pod.template.spec.serviceAccountName: is admin, and the steps act as \
             the saga's ServiceAccount default: leave it",
        ),
        (
            "/steps/1/pod",
            json!({
                "template": {
                    "spec": {
                        "serviceAccountName": "${steps.a.phase}", "containers": [{"name": "a"}],
                    },
                },
            }),
            "spec.steps[1].pod.template.spec.serviceAccountName: ${steps.a.phase} reads steps, \
             which is not known here",
        ),
        (
            "/steps/1/pod",
            json!({
                "template": {
                    "spec": {
                        "initContainers": [{"name": "i", "image": "a:${steps.a.phase}"}],
                        "containers": [{"name": "a"}],
                    },
                },
            }),
            "spec.steps[1].pod.template.spec.initContainers[0].image: ${steps.a.phase} reads \
             steps, which is not known here",
        ),
        ("/steps/1/pod/resources", json!([]), "spec.steps[1].pod: resources: must be an object"),
        (
            "/steps/0/compensation/pod/image",
            json!("${x}"),
            "spec.steps[0].compensation.pod.image: ${x}: there is no variable x",
        ),
        (
            "/steps/0/http/url",
            json!("ftp://a/b"),
            "spec.steps[0].http.url: must begin with http:// or https:// and a host",
        ),
        (
            "/steps/0/http/url",
            json!("http:///b"),
            "spec.steps[0].http.url: must begin with http:// or https:// and a host",
        ),
        (
            "/steps/0/http/url",
            json!("http://user@a/b"),
            "spec.steps[0].http.url: must begin with http:// or https:// and a host, without",
        ),
        ("/steps/0/http/url", json!("http://a:99999/b"), "spec.steps[0].http.url: must begin"),
        (
            "/steps/0/http/url",
            json!(format!("http://a/{}", "b".repeat(2040))),
            "spec.steps[0].http.url: has 2049 characters",
        ),
        (
            "/steps/0/http/headers",
            header("Host", "x"),
            "spec.steps[0].http.headers[0].name: Host is set by the operator: leave this header \
             out",
        ),
        (
            "/steps/0/http/headers",
            header("IDEMPOTENCY-KEY", "x"),
            "spec.steps[0].http.headers[0].name: IDEMPOTENCY-KEY is set by",
        ),
        (
            "/steps/0/http/headers",
            header("X Y", "x"),
            "spec.steps[0].http.headers[0].name: must be a header name",
        ),
        (
            "/steps/0/http/headers",
            header("", "x"),
            "spec.steps[0].http.headers[0].name: must be a header name",
        ),
        (
            "/steps/0/http/headers",
            header("X", "a\r\nHost: b"),
            "spec.steps[0].http.headers[0].value: holds a line break",
        ),
        (
            "/steps/0/http/headers",
            header("X", &"x".repeat(8193)),
            "spec.steps[0].http.headers[0].value: has 8193 characters",
        ),
        (
            "/steps/0/http/headers",
            json!([{"name": "X"}]),
            "spec.steps[0].http.headers[0]: set exactly one of value and valueFrom",
        ),
        (
            "/steps/0/http/headers",
            json!(vec![json!({"name": "X", "value": ""}); 33]),
            "spec.steps[0].http.headers: has 33 entries",
        ),
        (
            "/steps/0/http/headers",
            secret("../x", "k"),
            "spec.steps[0].http.headers[0].valueFrom.secretKeyRef: must name a Secret",
        ),
        (
            "/steps/0/http/headers",
            secret("x", ""),
            "spec.steps[0].http.headers[0].valueFrom.secretKeyRef: must name a Secret",
        ),
        (
            "/steps/0/http",
            trusting("http", json!({"configMapKeyRef": key("a")})),
            "spec.steps[0].http: tls is for https:// alone: write https://",
        ),
        (
            "/steps/0/http",
            trusting("https", json!({})),
            "spec.steps[0].http.tls.ca: set exactly one of secretKeyRef and configMapKeyRef",
        ),
        (
            "/steps/0/http",
            trusting("https", json!({"secretKeyRef": key("a"), "configMapKeyRef": key("a")})),
            "spec.steps[0].http.tls.ca: set exactly one of secretKeyRef and configMapKeyRef",
        ),
        (
            "/steps/0/http",
            trusting("https", json!({"secretKeyRef": key("a/b")})),
            "spec.steps[0].http.tls.ca.secretKeyRef: must name a Secret",
        ),
        (
            "/steps/0/http",
            trusting("https", json!({"configMapKeyRef": key("../b")})),
            "spec.steps[0].http.tls.ca.configMapKeyRef: must name a ConfigMap and a key of its \
             data",
        ),
        (
            "/steps/0/http/body",
            json!({"a": [{"b": "${c}"}]}),
            "spec.steps[0].http.body.a[0].b: ${c}: there is no variable c",
        ),
    ];
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
            "compensation": {"http": {"method": "GET", "url": "http://x"}},
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

#[test]
fn a_name_is_at_most_63_characters_and_a_saga_at_most_128_steps() {
    let spec: SagaSpec = serde_json::from_value(with("/maxParallel", json!(1))).unwrap();
    let faults = validate(&SagaName { name: "n".repeat(64), ..who() }, &spec).unwrap_err();
    assert_eq!(faults[0].path, "metadata.name");
    let steps = |count: usize| -> Vec<Value> {
        (0..count)
            .map(|place| json!({"name": format!("s{place}"), "pod": {"image": "x"}}))
            .collect()
    };
    assert_eq!(check(&json!({"steps": steps(128)})).unwrap().steps.len(), 128);
    assert_eq!(
        check(&json!({"steps": steps(129)})).unwrap_err(),
        ["spec.steps: must have 1 to 128 steps"]
    );
}

fn step(saga: &ValidSaga, name: &str) -> ValidStep {
    saga.steps.iter().find(|step| step.name == name).unwrap().clone()
}

#[test]
fn built_in_values_apply_where_nothing_is_set() {
    let saga = check(&with(
        "/steps/1/compensation",
        json!({"http": {"method": "GET", "url": "http://x"}}),
    ))
    .unwrap();
    assert_eq!((saga.max_parallel, saga.on_failure, saga.suspend), (1, OnFailure::Hold, false));
    assert_eq!(
        (saga.deletion_policy, saga.service_account.as_str()),
        (DeletionPolicy::Compensate, "default")
    );
    assert_eq!((saga.key_scope.as_str(), saga.uid.as_str()), ("0d1c", "0d1c"));
    let (a, b) = (step(&saga, "a"), step(&saga, "b"));
    assert_eq!(
        (a.compensate_failed, b.compensate_failed, a.pivot, b.depends_on.clone()),
        (false, true, false, vec![0])
    );
    let (http, pod) = (Duration::from_secs(30), Duration::from_hours(1));
    assert_eq!((a.action.timeout, a.compensation.as_ref().unwrap().timeout), (http, pod));
    assert_eq!((b.action.timeout, b.compensation.as_ref().unwrap().timeout), (pod, http));
    let retry = Retry {
        max_attempts: 1,
        deadline: None,
        backoff: BackoffType::Exponential,
        initial_delay: Duration::from_secs(1),
        max_delay: Duration::from_mins(1),
        jitter: 0.0,
    };
    assert_eq!(a.action.retry, retry);
    assert_eq!(a.compensation.unwrap().retry, Retry { max_attempts: 10, ..retry });
}

#[test]
fn the_own_value_then_the_default_then_the_built_in_one_field_by_field() {
    let saga = check(&json!({
        "defaults": {
            "timeout": "5m",
            "retry": {
                "maxAttempts": 3, "deadline": "1h",
                "backoff": {"type": "Linear", "initialDelay": "7s", "maxDelay": "50s"},
            },
            "compensationRetry": {"backoff": {"jitter": 0.5}},
        },
        "steps": [
            {"name": "all", "pod": {"image": "x"}, "compensation": {"pod": {"image": "x"}}},
            {
                "name": "some", "timeout": "9s", "http": {"method": "GET", "url": "https://x"},
                "retry": {"maxAttempts": 8, "backoff": {"initialDelay": "20s", "jitter": 0.1}},
                "compensation": {
                    "timeout": "8s", "http": {"method": "GET", "url": "https://x"},
                    "retry": {"deadline": "2m"},
                },
            },
        ],
    }))
    .unwrap();
    let (all, some) = (step(&saga, "all"), step(&saga, "some"));
    let seconds = Duration::from_secs;
    assert_eq!(all.action.timeout, seconds(300));
    let linear = Retry {
        max_attempts: 3,
        deadline: Some(seconds(3600)),
        backoff: BackoffType::Linear,
        initial_delay: seconds(7),
        max_delay: seconds(50),
        jitter: 0.0,
    };
    assert_eq!(all.action.retry, linear);
    assert_eq!(
        some.action.retry,
        Retry { max_attempts: 8, initial_delay: seconds(20), jitter: 0.1, ..linear }
    );
    assert_eq!(
        (some.action.timeout, some.compensation.as_ref().unwrap().timeout),
        (seconds(9), seconds(8))
    );
    let undo = all.compensation.unwrap();
    assert_eq!(
        (undo.timeout, undo.retry.max_attempts, undo.retry.backoff),
        (seconds(300), 10, BackoffType::Exponential)
    );
    assert_eq!(
        (undo.retry.jitter, some.compensation.unwrap().retry.deadline),
        (0.5, Some(seconds(120)))
    );
}

#[test]
fn the_cap_follows_an_initial_delay_that_is_longer_than_the_built_in_one() {
    let saga = check(&with("/steps/0/retry/backoff/initialDelay", json!("5m"))).unwrap();
    assert_eq!(step(&saga, "a").action.retry.max_delay, Duration::from_mins(5));
    let mut spec = with("/steps/0/retry/backoff/initialDelay", json!("5m"));
    spec["defaults"] = json!({"retry": {"backoff": {"maxDelay": "1m"}}});
    let expected = "spec.steps[0].retry.backoff.initialDelay: is longer than the maxDelay of \
        spec.defaults: lower it, or set maxDelay here";
    assert_eq!(check(&spec).unwrap_err(), [expected]);
}

#[test]
fn an_escaped_brace_is_a_literal_one() {
    let saga = check(&with("/steps/1/pod/args", json!(["$${HOME}", "$PATH"]))).unwrap();
    let Work::Pod(pod) = step(&saga, "b").action.work else { panic!("a pod") };
    assert_eq!(pod.args, Some(vec!["${HOME}".into(), "$PATH".into()]));
}

/// What a saga is warned of whose first step has this compensation.
fn warned(compensation: Value) -> Vec<String> {
    let mut spec = with("/steps/0/compensation", compensation);
    spec["steps"][0]["outputs"] = json!({"id": "${response.body.id}"});
    warnings(&check(&spec).unwrap()).iter().map(ToString::to_string).collect()
}

#[test]
fn a_compensation_is_warned_of_where_it_may_fail_without_outputs_and_names_the_place() {
    let undo = |http: Value| {
        let mut undo = json!({"http": {"method": "POST", "url": "http://a.shop.svc/undo"}});
        undo["http"].as_object_mut().unwrap().extend(http.as_object().unwrap().clone());
        undo
    };
    let said = "spec.steps[0].compensation.http.body.id: ${outputs.id} reads outputs without \
        has(): where nobody can tell what the action did there are none, and the undo fails; \
        write has(outputs.id) ? outputs.id : …, or name the request by action.key";
    assert_eq!(
        warned(undo(json!({"body": {"id": "${outputs.id}", "key": "${action.key}"}}))),
        [said]
    );
    for (http, place) in [
        (json!({"url": "http://a.shop.svc/${outputs.id}"}), "spec.steps[0].compensation.http.url"),
        (
            json!({"headers": [{"name": "A", "value": "a ${outputs['id']}"}]}),
            "spec.steps[0].compensation.http.headers[0].value",
        ),
        (
            json!({"expect": "response.body.id == outputs.id"}),
            "spec.steps[0].compensation.http.expect",
        ),
    ] {
        let said = warned(undo(http));
        assert!(
            matches!(said.as_slice(), [one] if one.starts_with(&format!("{place}: "))),
            "{said:?}"
        );
    }
    let args = json!(["${outputs.id}", "${has(outputs.id) ? outputs.id : ''}"]);
    let pod = json!({"pod": {"image": "undo-a:1", "args": args}});
    assert!(matches!(
        warned(pod).as_slice(),
        [one] if one.starts_with("spec.steps[0].compensation.pod.args[0]: ")
    ));
    let guarded = "${has(outputs.id) ? outputs.id : action.key}";
    assert!(warned(undo(json!({"body": {"all": "${outputs}", "key": guarded}}))).is_empty());
}

#[test]
fn what_was_only_waited_for_is_undone_only_where_it_was_done() {
    let wait =
        json!({"until": "true", "object": {"apiVersion": "v1", "kind": "ConfigMap", "name": "a"}});
    let spec = json!({"steps": [{
        "name": "a", "wait": wait, "outputs": {"id": "${object.metadata.uid}"},
        "compensation": {"pod": {"image": "undo-a:1", "args": ["${outputs.id}"]}},
    }]});
    assert_eq!(warnings(&check(&spec).unwrap()), []);
}

/// Requests whose bodies hold this expression so often.
fn asking(expression: &str, often: &[usize]) -> Vec<Value> {
    let first = json!({
        "name": "first", "http": {"method": "GET", "url": "http://a.shop.svc/x"},
        "outputs": {"x": "${response.body.x}"},
    });
    let request = |(place, often): (usize, &usize)| {
        let http = json!({
            "method": "POST", "url": "http://a.shop.svc/x",
            "body": vec![format!("${{{expression}}}"); *often],
        });
        json!({"name": format!("s{place}"), "dependsOn": ["first"], "http": http})
    };
    std::iter::once(first).chain(often.iter().enumerate().map(request)).collect()
}

#[test]
fn expressions_that_are_too_much_work_together_are_refused_where_they_come_to_that() {
    // Each is nearly all the work that one expression may be, whatever it reads.
    for heavy in [
        "'x'.matches('[a-z]{80}')",
        "params.x.matches('[a-z]{80}')",
        "steps.first.outputs.x.matches('[a-z]{80}')",
    ] {
        let spec = |often: &[usize]| json!({"params": {"x": "a"}, "steps": asking(heavy, often)});
        assert!(check(&spec(&[16, 16])).is_ok(), "{heavy}");
        for often in [&[3000_usize][..], &[60, 3000]] {
            let found = check(&spec(often)).unwrap_err();
            let [one] = found.as_slice() else { panic!("{heavy}: {found:?}") };
            let body = if often.len() == 1 {
                "spec.steps[1].http.body[6"
            } else {
                "spec.steps[2].http.body["
            };
            assert!(
                one.starts_with(body)
                    && one.contains("the expressions of the saga are too much work together"),
                "{one}"
            );
        }
        // What stands in a child is tried together with its parent.
        let child = json!({
            "name": "child",
            "saga": {"spec": {"params": {"x": "a"}, "steps": asking(heavy, &[40])}},
        });
        let mut both = spec(&[40]);
        both["steps"].as_array_mut().unwrap().push(child);
        let found = check(&both).unwrap_err();
        assert!(
            matches!(
                found.as_slice(),
                [one] if one.starts_with("spec.steps[2].saga.spec.steps[1].http.body[2")
            ),
            "{found:?}"
        );
        // No step behind it is looked at any more: the saga is refused whatever it holds.
        let mut more = spec(&[3000]);
        more["steps"].as_array_mut().unwrap().push(json!({"name": "Not a name", "approval": {}}));
        assert_eq!(check(&more).unwrap_err().len(), 1);
    }
}

#[test]
fn as_many_expressions_as_a_large_saga_holds_are_no_matter() {
    let params = json!({"order": "1042", "text": "x".repeat(4000)});
    let asked = "params.order + (has(params.x) ? params.x : '')";
    let spec = json!({"params": params, "steps": asking(asked, &[30; 127])});
    assert!(check(&spec).is_ok(), "{:?}", check(&spec).unwrap_err().first());
}

/// Requests of so many expressions each, one after the other.
fn in_all(expression: &str, params: &Value, often: &[usize]) -> Vec<String> {
    check(&json!({"params": params, "steps": asking(expression, often)})).unwrap_err()
}

/// Params of so many small fields, which are `1`.
fn fields(count: usize) -> Value {
    (0..count).map(|nth| (format!("f{nth}"), json!(1))).collect::<serde_json::Map<_, _>>().into()
}

const TOO_MANY_FAULTS: &str =
    "spec: has more faults than these 200: mend them, and the next ones are told";

#[test]
fn nothing_is_tried_over_params_that_are_too_large_and_that_is_told_once() {
    // Were they read, each expression would be a fault of its own.
    let found = in_all("params.there.is.none", &fields(78_000), &[300; 2]);
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert!(
        one.starts_with("spec.params: has ") && one.ends_with("it may have at most 32768"),
        "{one}"
    );
    // Where nothing reads them they may be large.
    assert!(
        check(&json!({"params": fields(78_000), "steps": [{"name": "a", "pod": {"image": "a"}}]}))
            .is_ok()
    );
    // A child's params are its own.
    let child = json!({"params": fields(78_000), "steps": asking("params.there.is.none", &[10])});
    let found = check(&json!({"steps": [{"name": "a", "saga": {"spec": child}}]})).unwrap_err();
    assert!(
        matches!(
            found.as_slice(),
            [one] if one.starts_with("spec.steps[0].saga.spec.params: has ")
        ),
        "{found:?}"
    );
}

#[test]
fn an_expression_that_is_not_evaluated_counts_with_what_it_reads() {
    // Within 32 KiB as they are written, and more than an expression may read as it counts them.
    let found = in_all("steps.first.outputs.x + params.f1", &fields(3000), &[2500]);
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert!(
        one.starts_with("spec.steps[1].http.body[2") && one.contains("too much work together"),
        "{one}"
    );
}

#[test]
fn of_very_many_faults_the_first_are_told_and_no_more_are_looked_for() {
    for (expression, often) in [
        (")", &[45_000][..]),
        ("params.none", &[1000]),
        ("steps.none.outputs.x", &[3; 100]),
        ("params.none", &[3; 100]),
    ] {
        let found = in_all(expression, &json!({"x": 1}), often);
        assert_eq!(
            (found.len(), found.last().unwrap().as_str()),
            (201, TOO_MANY_FAULTS),
            "{expression}"
        );
        assert!(found[0].starts_with("spec.steps[1].http.body[0]: "), "{}", found[0]);
    }
    assert_eq!(in_all("params.none", &json!({"x": 1}), &[200]).len(), 200);
}

#[test]
fn more_expressions_than_a_saga_may_have_are_not_even_read() {
    let found = in_all("1", &json!({}), &[20_000]);
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert!(
        one.starts_with("spec.steps[1].http.body[16384]: holds more than 16384 expressions"),
        "{one}"
    );
}

#[test]
fn labels_and_annotations_take_what_another_side_answered_whatever_they_are_called() {
    let apply = |version: &str, kind: &str, path: &str, marks: Value| {
        let mut manifest = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}});
        let at = path.split('.').fold(&mut manifest, |at, name| &mut at[name]);
        *at = marks;
        let mut steps = asking("1", &[]);
        steps.push(
            json!({"name": "deploy", "dependsOn": ["first"], "apply": {"manifest": manifest}}),
        );
        check(&json!({"steps": steps})).err()
    };
    let marks = json!({
        "image.example.com/built-by": "${steps.first.outputs.x}",
        "image": "${steps.first.outputs.x}",
    });
    for path in [
        "metadata.annotations",
        "metadata.labels",
        "spec.template.metadata.annotations",
        "spec.template.metadata.labels",
    ] {
        assert_eq!(apply("apps/v1", "Deployment", path, marks.clone()), None, "{path}");
    }
    assert_eq!(
        apply("apps/v1", "Deployment", "spec.template.spec", marks.clone())
            .map(|found| found.len()),
        Some(1)
    );
    assert_eq!(
        apply("saga.dev/v1alpha1", "Saga", "metadata.annotations", marks).map(|found| found.len()),
        Some(2)
    );
}
