//! The tests of who may do what, against the chart's policies and rights as they are installed, before an operator runs beside them.

use std::process::Command;

use crate::tools::{repository, run};

/// Runs tests of another binary of this package; fails where none ran.
fn tests(binary: &str, filters: &[&str]) {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let arguments = ["test", "--locked", "--quiet", "--test", binary, "--"];
    let said = run(Command::new(cargo).current_dir(repository("")).args(arguments).args(filters));
    let ran = said.lines().find(|line| line.starts_with("test result: ok.")).unwrap_or_default();
    println!("e2e: {ran}");
    assert!(!ran.is_empty() && !ran.contains(" 0 passed"), "{said}");
}

/// Each request with its verb and without, each policy allowed and denied, each with the words that a person reads.
pub fn who_may_ask_for_what() {
    tests("apiserver", &["policies::"]);
}

/// Each action on objects without each right that it needs; and a saga that wants more than its account has.
pub fn what_an_account_may_not_do() {
    tests("operator", &["objects::each_right_that_the_account_lacks", "objects::no_saga_borrows_power"]);
}
