//! Tests of what the page about requests says.

use std::collections::BTreeSet;

use saga_operator::{
    api::{Direction, RequestAction, SagaPhase, StepPhase, UserRequest},
    engine::request::allowed,
};

fn requests() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/requests.md")).unwrap()
}

#[test]
fn the_commands_of_the_page_about_requests_are_understood() {
    let text = requests();
    let commands = text
        .lines()
        .filter_map(|line| line.strip_prefix("kubectl annotate --overwrite saga/order-1043 "));
    let mut told = BTreeSet::new();
    for command in commands {
        // The command is read as a shell reads it: one word, quoted as a whole or in its value.
        let word = command.split(" #").next().unwrap().trim();
        let word = word
            .strip_prefix('\'')
            .map_or_else(|| word.replace('"', ""), |word| word.trim_end_matches('\'').to_owned());
        let (key, value) = word.split_once('=').unwrap();
        let action = RequestAction::ALL
            .into_iter()
            .find(|action| action.annotation() == key)
            .unwrap_or_else(|| panic!("{key}"));
        let asked = UserRequest { action, value: value.to_owned(), reapplied: false };
        assert!(!asked.is_empty() && asked.token().is_none(), "{command}");
        asked.body().unwrap_or_else(|error| panic!("{command}: {error}"));
        told.insert(action);
    }
    // Of two requests that belong together, the page shows one.
    let shown = [RequestAction::Reject, RequestAction::Resume];
    assert!(
        RequestAction::ALL.iter().all(|action| shown.contains(action) || told.contains(action)),
        "{told:?}"
    );
}

#[test]
fn the_page_about_requests_lists_all_of_them_in_the_order_in_which_they_are_handled() {
    let text = requests();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let listed: Vec<_> = rows.collect();
    assert_eq!(listed, RequestAction::ALL.map(RequestAction::annotation));
}

/// Returns the rows of the table of `docs/requests.md` that has this first heading: the first cell,
/// and for each further heading whether its cell says yes.
fn table(first: &str) -> Vec<(String, Vec<(String, bool)>)> {
    let text = requests();
    let cells = |line: &str| {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    let mut lines = text.lines().skip_while(|line| !line.starts_with(&format!("| {first} |")));
    let heading = cells(lines.next().unwrap());
    let rows = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells);
    let row = |row: Vec<String>| {
        assert!(row[1..].iter().all(|cell| ["", "yes"].contains(&cell.as_str())), "{row:?}");
        let told =
            heading[1..].iter().cloned().zip(row[1..].iter().map(|cell| cell == "yes")).collect();
        (row[0].clone(), told)
    };
    rows.map(row).collect()
}

#[test]
fn the_table_of_requests_by_the_phase_of_a_saga_is_the_operators_own() {
    let own: Vec<_> = SagaPhase::ALL
        .into_iter()
        .map(|phase| {
            let told = RequestAction::ALL.map(|action| {
                (action.as_str().to_owned(), allowed::in_saga_phases(action).contains(&phase))
            });
            (phase.as_str().to_owned(), told.to_vec())
        })
        .collect();
    assert_eq!(table("saga"), own);
}

#[test]
fn the_table_of_requests_by_the_phase_of_a_step_is_the_operators_own() {
    let ways = [("going forward", Direction::Action), ("undoing", Direction::Compensation)];
    let own: Vec<_> = StepPhase::ALL
        .into_iter()
        .map(|phase| {
            let told = ways.iter().flat_map(|(way, direction)| {
                [
                    RequestAction::Settle,
                    RequestAction::Reject,
                    RequestAction::Approve,
                    RequestAction::Skip,
                    RequestAction::Retry,
                ]
                .map(|action| {
                    (
                        format!("{action}, {way}"),
                        allowed::in_step_phases(action, *direction).contains(&phase),
                    )
                })
            });
            (phase.as_str().to_owned(), told.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(table("step"), own);
}
