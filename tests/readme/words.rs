//! What the README says without a cluster.

use std::collections::BTreeSet;

use clap::CommandFactory;
use saga_operator::{
    api::StoredSaga,
    engine::valid::{SagaName, validate},
    service::args::Cli,
};

#[test]
fn the_saga_of_the_readme_is_valid() {
    let blocks = crate::blocks("yaml");
    assert_eq!(blocks.len(), 1);
    let written: serde_json::Value = serde_saphyr::from_str(&blocks[0]).unwrap();
    let saga: StoredSaga = serde_json::from_str(&written.to_string()).unwrap();
    let who = SagaName { name: "order-2001".into(), namespace: "shop".into(), uid: "1".into() };
    let valid = validate(&who, &saga.spec.unwrap()).unwrap();
    assert_eq!(valid.steps.len(), 2);
}

#[test]
fn the_arguments_of_the_readme_are_those_of_the_operator() {
    let cli = Cli::command();
    let run = cli.find_subcommand("run").unwrap();
    let known: BTreeSet<_> = run.get_arguments().filter_map(|argument| argument.get_long()).map(|long| format!("--{long}")).collect();
    let text = crate::readme();
    let table = text.lines().filter(|line| line.starts_with("| `--"));
    let told: BTreeSet<_> = table
        .flat_map(|row| row.split('|').nth(1).unwrap().split(['`', ',', ' ']).filter(|word| word.starts_with("--")))
        .map(str::to_owned)
        .collect();
    assert_eq!(told, known);
}

#[test]
fn the_commands_of_the_readme_are_verbs_of_the_makefile() {
    let makefile = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Makefile")).unwrap();
    for command in crate::blocks("sh").iter().flat_map(|block| block.lines()) {
        let verb = command.split_whitespace().nth(1).unwrap();
        assert!(command.starts_with("make ") && makefile.contains(&format!("\n{verb}:")), "{command}");
    }
}
