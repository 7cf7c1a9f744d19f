//! Tests of what the README says of `kubectl saga simulate`, which needs no cluster.

use clap::CommandFactory;
use saga_operator::plugin::args::PluginCli;

#[test]
fn the_simulations_print_what_the_readme_says() {
    crate::tour::take("shell-session", 2, "a simulation has nothing to complain of");
}

#[test]
fn every_argument_of_a_simulation_is_in_the_readme() {
    let text = crate::readme();
    let section = text
        .split("\n## ")
        .find(|section| section.starts_with("Try it without a cluster\n"))
        .unwrap();
    let cli = PluginCli::command();
    let simulate = cli.find_subcommand("simulate").unwrap();
    let known: Vec<_> = simulate
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .filter(|long| *long != "filename")
        .collect();
    assert!(known.len() >= 4, "{known:?}");
    for long in known {
        assert!(section.contains(&format!("`--{long} ")), "--{long}");
    }
    assert!(section.contains("simulate -f "));
}
