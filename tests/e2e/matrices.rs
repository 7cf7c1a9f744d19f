//! The tests of who may do what, against the chart's policies and rights as they are installed,
//! before an operator runs beside them.

use std::process::Command;

use serde_json::json;

use crate::tools::{apply, repository, run};

/// Runs tests of another binary of this package; fails where none ran.
fn tests(binary: &str, filters: &[&str]) {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut cargo = Command::new(cargo);
    // Cargo tells this binary about its package; build scripts of dependencies that read that would
    // take it for a change.
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

/// Each request with its verb and without, each policy allowed and denied, each with the words that
/// a person reads.
pub fn who_may_ask_for_what() {
    tests("apiserver", &["policies::"]);
    // They apply the definition, too, under a name of their own: nothing of it is to be theirs when
    // Helm changes it.
    let nothing = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "sagas.saga.dev"},
    });
    apply(&nothing, &["--server-side", "--field-manager", "saga-operator-tests"]);
}

/// Each action on objects without each right that it needs; and a saga that wants more than its
/// account has.
pub fn what_an_account_may_not_do() {
    tests(
        "operator",
        &["objects::each_right_that_the_account_lacks", "objects::no_saga_borrows_power"],
    );
}
