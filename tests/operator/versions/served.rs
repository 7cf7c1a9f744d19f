//! Which definition the API server serves: the definition of this version or of a later one.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::stand::{NEXT_IS_BUILT, next_operator, setting};

/// The field manager under which the tests apply a definition.
const MANAGER_OF_TESTS: &str = "tests";

/// A guard that fixes the served definition: no other test changes it meanwhile. When the guard is
/// dropped, the definition is this version's.
pub(super) struct Served(
    #[expect(dead_code, reason = "held until it is dropped")] MutexGuard<'static, ()>,
);

impl Served {
    pub(super) async fn by_this_version() -> Self {
        static TURN: Mutex<()> = Mutex::const_new(());
        let served = Self(TURN.lock().await);
        apply(&definition(Path::new(env!("CARGO_BIN_EXE_saga-operator"))));
        served
    }

    /// Lets the API server serve the definition of the later version.
    pub(super) fn advance() {
        apply(&definition(&next_operator()));
    }

    /// Lets the API server serve the definition of this version again.
    pub(super) fn go_back() {
        apply(&definition(Path::new(env!("CARGO_BIN_EXE_saga-operator"))));
    }

    /// Lets the API server serve this version's definition with one more field and one more word in
    /// the spec.
    pub(super) fn with_more_in_the_spec() {
        let mut definition: Value =
            serde_saphyr::from_str(&definition(Path::new(env!("CARGO_BIN_EXE_saga-operator"))))
                .unwrap();
        let spec = definition
            .pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties")
            .unwrap();
        spec["note"] = json!({"type": "string", "maxLength": 64});
        spec["onFailure"]["enum"].as_array_mut().unwrap().push(json!("Shout"));
        apply(&definition.to_string());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        Self::go_back();
        disown();
    }
}

/// Releases the field ownership of the definition. Fields that belong to the tests would conflict
/// with the next installation.
fn disown() {
    let kubectl = |arguments: &[&str]| {
        let output = Command::new("kubectl")
            .args(["--kubeconfig", &setting("SAGA_TEST_KUBECONFIG")])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let definition = ["crd", "sagas.saga.dev"];
    let read = kubectl(
        &[&["get"], &definition[..], &["--output", "json", "--show-managed-fields"]].concat(),
    );
    let read: Value = serde_json::from_slice(&read).unwrap();
    let managers = read["metadata"]["managedFields"].as_array().unwrap();
    let Some(place) = managers.iter().position(|manager| manager["manager"] == MANAGER_OF_TESTS)
    else {
        return;
    };
    let patch = json!([
        {
            "op": "test", "path": format!("/metadata/managedFields/{place}/manager"),
            "value": MANAGER_OF_TESTS,
        },
        {"op": "remove", "path": format!("/metadata/managedFields/{place}")},
    ]);
    kubectl(
        &[&["patch"], &definition[..], &["--type", "json", "--patch", &patch.to_string()]].concat(),
    );
}

/// Returns the definition that an operator prints.
fn definition(operator: &Path) -> String {
    let output = Command::new(operator).arg("crd").output().expect(NEXT_IS_BUILT);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Applies a text as the administrator.
fn apply(text: &str) {
    let mut kubectl = Command::new("kubectl");
    kubectl.args([
        "--kubeconfig",
        &setting("SAGA_TEST_KUBECONFIG"),
        "apply",
        "--server-side",
        "--force-conflicts",
    ]);
    kubectl
        .args(["--field-manager", MANAGER_OF_TESTS, "--filename", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut child = kubectl.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}
