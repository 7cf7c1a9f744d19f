//! The tools of an administrator: helm, kubectl, and the functions that an act uses.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::stand::{PATIENCE, setting};

/// The namespace of the operator, and the name of the release.
pub const NAMESPACE: &str = "saga-system";
pub const RELEASE: &str = "saga-operator";
/// The account of the operator.
pub const ACCOUNT: &str = "system:serviceaccount:saga-system:saga-operator";

/// Returns a path in the repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a command and returns its output. Panics if the command fails.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{said}{complained}", output.status);
    said.into_owned()
}

/// Runs kubectl as the administrator, and returns its output.
pub fn kubectl(arguments: &[&str]) -> String {
    run(Command::new("kubectl")
        .args(["--kubeconfig", &setting("SAGA_TEST_KUBECONFIG")])
        .args(arguments))
}

/// Runs kubectl as the administrator, and returns its output as JSON.
pub fn kubectl_json(arguments: &[&str]) -> Value {
    serde_json::from_str(&kubectl(&[arguments, &["--output", "json"]].concat())).unwrap()
}

/// Applies an object with kubectl and these additional arguments.
pub fn apply(object: &Value, arguments: &[&str]) {
    let mut kubectl = Command::new("kubectl");
    kubectl
        .args(["--kubeconfig", &setting("SAGA_TEST_KUBECONFIG"), "apply", "--filename", "-"])
        .args(arguments);
    let mut kubectl = kubectl.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    serde_json::to_writer(kubectl.stdin.take().unwrap(), object).unwrap();
    assert!(kubectl.wait().unwrap().success(), "{object}");
}

/// Runs Helm as the administrator, and returns its output.
pub fn helm(arguments: &[&str]) -> String {
    run(Command::new("helm")
        .args(["--kubeconfig", &setting("SAGA_TEST_KUBECONFIG"), "--namespace", NAMESPACE])
        .args(arguments))
}

/// Installs the chart of this folder, or upgrades to it, with the image under test, two replicas
/// and these additional values. Waits until its pods are ready, and returns the output.
pub fn install(chart: &str, values: &[&str]) -> String {
    let image = setting("SAGA_E2E_IMAGE");
    let (repository, tag) = image.rsplit_once(':').expect("the image has a tag");
    let set =
        format!("image.repository={repository},image.tag={tag},image.pullPolicy=Never,replicas=2");
    let mut arguments = vec![
        "upgrade",
        "--install",
        RELEASE,
        chart,
        "--wait",
        "--timeout",
        "2m",
        "--reset-values",
        "--set",
        &set,
    ];
    for value in values {
        arguments.extend(["--set", value]);
    }
    helm(&arguments)
}

/// Uninstalls the chart, waits until no pod of the operator is left, and returns the output of
/// Helm.
pub async fn uninstall() -> String {
    let said = helm(&["uninstall", RELEASE, "--wait"]);
    // The pods have no rights any more, and finish what they can.
    let there = || {
        kubectl(&[
            "get",
            "pods",
            "--namespace",
            NAMESPACE,
            "--selector",
            "app.kubernetes.io/name=saga-operator",
            "--output",
            "name",
        ])
    };
    until("the operator's pods are gone", || there().is_empty().then_some(())).await;
    said
}

/// Returns the folder of the chart.
pub fn chart() -> String {
    repository("charts/saga-operator").to_string_lossy().into_owned()
}

/// Returns the names of the operator's pods that are not terminating.
pub fn pods() -> Vec<String> {
    let pods = kubectl_json(&[
        "get",
        "pods",
        "--namespace",
        NAMESPACE,
        "--selector",
        "app.kubernetes.io/name=saga-operator",
    ]);
    let stays = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
    let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
    pods["items"].as_array().unwrap().iter().filter(stays).map(name).collect()
}

/// Returns the logs of all pods of the operator.
pub fn logs() -> String {
    pods().iter().map(|pod| kubectl(&["logs", "--namespace", NAMESPACE, pod])).collect()
}

/// Waits until `look` returns a value, and returns that value.
pub async fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    until_within(PATIENCE, what, look).await
}

/// Waits until `look` returns a value, for at most `within`, and returns that value.
pub async fn until_within<T>(within: Duration, what: &str, look: impl Fn() -> Option<T>) -> T {
    let seen = async {
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(within, seen)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within {} s", within.as_secs()))
}
