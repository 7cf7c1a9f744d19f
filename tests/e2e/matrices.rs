//! The tests of rights, run against the installed policies and rights of the chart, before an
//! operator runs beside them.

use std::process::Command;

use serde_json::json;

use crate::tools::{apply, repository, run};

/// Runs tests of another binary of this package. Fails if no test ran.
fn tests(binary: &str, filters: &[&str]) {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut cargo = Command::new(cargo);
    // Cargo sets variables of its package for this binary. Build scripts of dependencies that read
    // these variables would treat them as a change.
    for (name, _) in std::env::vars()
        .filter(|(name, _)| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
    {
        cargo.env_remove(name);
    }
    let arguments = ["test", "--locked", "--quiet", "--test", binary, "--"];
    let said = run(cargo.current_dir(repository("")).args(arguments).args(filters));
    let ran = said.lines().find(|line| line.starts_with("test result: ok.")).unwrap_or_default();
    println!("e2e: {ran}");
    assert!(!ran.is_empty() && !ran.contains(" 0 passed"), "{said}");
}

/// Runs each request with its verb and without, and each policy allowed and denied, each with the
/// message for the user.
pub fn who_may_ask_for_what() {
    tests("apiserver", &["policies::"]);
    // These tests also apply the definition, with their own field manager. They must own none of
    // its fields when Helm changes the definition.
    let nothing = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "sagas.saga.dev"},
    });
    apply(&nothing, &["--server-side", "--field-manager", "saga-operator-tests"]);
}

/// Runs each action on objects without each right that it needs, and a saga that needs more rights
/// than its account has.
pub fn what_an_account_may_not_do() {
    tests(
        "operator",
        &["objects::each_right_that_the_account_lacks", "objects::no_saga_borrows_power"],
    );
}
