//! The faults of the Pods and HTTP requests of a spec, and their messages.

use serde_json::{Value, json};

/// Returns a template of one container with these fields.
fn template(fields: &Value) -> Value {
    let mut container = json!({"name": "step", "image": "ship:1"});
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"spec": {"containers": [container]}})
}

/// The pointer at which a value is set, the value, and the fault that follows.
pub(crate) type Case = (&'static str, Value, &'static str);

fn header(name: &str, value: &str) -> Value {
    json!([{"name": name, "value": value}])
}

fn secret(name: &str, key: &str) -> Value {
    json!([{
        "name": "X", "valueFrom": {"secretKeyRef": {"name": name, "key": key}},
    }])
}

pub(crate) fn key(name: &str) -> Value {
    json!({"name": name, "key": "ca.crt"})
}

pub(crate) fn trusting(scheme: &str, ca: Value) -> Value {
    json!({
        "method": "GET", "url": format!("{scheme}://a.svc/b"), "tls": {"ca": ca},
    })
}

/// Returns what can be wrong with Pods.
pub(crate) fn of_pods() -> Vec<Case> {
    vec![
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
        (
            "/steps/1/pod",
            json!({"mountToken": true, "template": template(&json!({}))}),
            "spec.steps[1].pod: with a template, automountServiceAccountToken stands in its spec",
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
    ]
}

/// Returns what can be wrong with HTTP requests.
pub(crate) fn of_requests() -> Vec<Case> {
    vec![
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
            json!("http://stock/b"),
            "spec.steps[0].http.url: names a host without a dot, which the operator would look up \
             in its own namespace: write NAME.NAMESPACE.svc",
        ),
        (
            "/steps/0/http/url",
            json!(format!("http://a.svc/{}", "b".repeat(2036))),
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
    ]
}
