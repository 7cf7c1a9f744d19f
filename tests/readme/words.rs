//! What the README says without a cluster.

use std::{collections::BTreeSet, path::Path, time::Duration};

use clap::CommandFactory;
use saga_operator::{
    api::{Asked, RequestAction, SagaPhase, StepPhase, StoredSaga},
    engine::request::allowed,
    expression::{check::FUNCTIONS, reads::Variable},
    model::saga::SagaName,
    service::{args::Cli, metrics::Metrics},
    validate::saga::validate,
};

#[test]
fn the_saga_of_the_readme_is_valid() {
    let blocks = crate::blocks("yaml");
    assert_eq!(blocks.len(), 1);
    let written: serde_json::Value = serde_saphyr::from_str(&blocks[0]).unwrap();
    let saga: StoredSaga = serde_json::from_str(&written.to_string()).unwrap();
    let who = SagaName { name: "order-2001".into(), namespace: "shop".into(), uid: "1".into() };
    let valid = validate(&who, &saga.spec.unwrap()).unwrap();
    assert_eq!(valid.steps.len(), 3);
}

#[test]
fn the_arguments_of_the_readme_are_those_of_the_operator() {
    let cli = Cli::command();
    let run = cli.find_subcommand("run").unwrap();
    let known: BTreeSet<_> = run
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .map(|long| format!("--{long}"))
        .collect();
    let text = crate::readme();
    let table = text.lines().filter(|line| line.starts_with("| `--"));
    let told: BTreeSet<_> = table
        .flat_map(|row| {
            row.split('|')
                .nth(1)
                .unwrap()
                .split(['`', ',', ' '])
                .filter(|word| word.starts_with("--"))
        })
        .map(str::to_owned)
        .collect();
    assert_eq!(told, known);
}

#[test]
fn the_commands_of_the_readme_are_verbs_of_the_makefile() {
    let makefile =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Makefile")).unwrap();
    for command in crate::blocks("sh").iter().flat_map(|block| block.lines()) {
        let verb = command.split_whitespace().nth(1).unwrap();
        assert!(
            command.starts_with("make ") && makefile.contains(&format!("\n{verb}:")),
            "{command}"
        );
    }
}

#[test]
fn the_page_about_security_names_the_verbs_and_the_policies_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    for action in RequestAction::ALL {
        assert!(page.contains(&format!("`{action}`")), "{action}");
    }
    let folder = std::fs::read_dir(root.join("charts/saga-operator/templates/admission")).unwrap();
    let texts = folder.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let validating = "kind: ValidatingAdmissionPolicy\nmetadata:\n  name: ";
    let names: Vec<_> = texts
        .flat_map(|text| {
            text.split(validating)
                .skip(1)
                .map(|rest| rest.lines().next().unwrap().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(names.len(), 7);
    for name in names {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[test]
fn the_page_about_operations_names_the_series_and_the_reasons_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/operations.md")).unwrap();
    let metrics = Metrics::new("1.2.3");
    metrics.sagas().show(|| [(("Failed", "StepFailed"), 1)].into());
    // What has no value yet is not listed.
    metrics.saga_ended("Failed");
    metrics.step_settled("http", "action", "Failed", Duration::ZERO);
    metrics.step_retried("http", "action");
    metrics.request_answered("retry", "Accepted");
    metrics.watch_failed("Pod");
    metrics.status_written("ok");
    let text = metrics.text().unwrap();
    let there: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| {
            format!(
                "{name}{}",
                match kind {
                    "counter" => "_total",
                    "info" => "_info",
                    _ => "",
                }
            )
        })
        .chain(["saga_circuit_breaker_state".into()])
        .collect();
    let told: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `saga_")?.split_once('`'))
        .map(|(name, _)| format!("saga_{name}"))
        .collect();
    assert_eq!(told, there);
    let reasons: BTreeSet<_> =
        sources(&root.join("src/engine")).flat_map(|source| reasons(&source)).collect();
    assert!(reasons.len() > 5, "{reasons:?}");
    for reason in reasons
        .iter()
        .map(String::as_str)
        .chain(SagaPhase::ALL.map(SagaPhase::as_str))
        .filter(|reason| !["Pending", "Running"].contains(reason))
    {
        assert!(page.contains(&format!("`{reason}`")), "{reason}");
    }
}

fn sources(folder: &Path) -> impl Iterator<Item = String> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| std::fs::read_to_string(path).unwrap())
}

/// The reasons of events that are written in a source.
fn reasons(source: &str) -> Vec<String> {
    let marks = ["reason: \"", "publish(true, \"", "publish(false, \""];
    let after = marks.into_iter().flat_map(|mark| source.split(mark).skip(1));
    after
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .filter(|word| word.starts_with(char::is_uppercase))
        .collect()
}

#[test]
fn the_page_about_expressions_names_the_functions_and_variables_that_there_are() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/expressions.md"))
        .unwrap();
    for function in FUNCTIONS.iter().filter(|function| !function.starts_with("get")) {
        assert!(text.contains(&format!("`{function}`")), "{function}");
    }
    for variable in Variable::ALL {
        assert!(
            text.lines().any(|line| line.starts_with(&format!("| `{}", variable.as_str()))),
            "{}",
            variable.as_str()
        );
    }
}

#[test]
fn the_saga_of_the_page_about_expressions_is_valid() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/expressions.md"))
        .unwrap();
    let block = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let spec: serde_json::Value = serde_saphyr::from_str(block).unwrap();
    let saga: StoredSaga =
        serde_json::from_value(serde_json::json!({"metadata": {}, "spec": spec})).unwrap();
    let who = SagaName { name: "order-1042".into(), namespace: "shop".into(), uid: "1".into() };
    validate(&who, &saga.spec.unwrap()).unwrap();
}

fn gitops() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/gitops.md")).unwrap()
}

#[test]
fn the_sagas_of_the_page_about_gitops_are_valid_and_what_they_ask_for_is_a_declaration() {
    let text = gitops();
    let blocks = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let objects: Vec<serde_json::Value> = blocks
        .flat_map(|block| serde_saphyr::from_multiple::<serde_json::Value>(block).unwrap())
        .collect();
    let (sagas, others): (Vec<_>, Vec<_>) =
        objects.iter().partition(|object| object["kind"] == "Saga");
    assert_eq!((sagas.len(), others.len()), (5, 2));
    let mut asked = Vec::new();
    for written in sagas {
        assert_eq!(written["apiVersion"], "saga.dev/v1alpha1");
        let saga: StoredSaga = serde_json::from_value(written.clone()).unwrap();
        let spec = saga.spec.unwrap();
        assert_eq!(
            serde_json::to_value(&spec).unwrap(),
            written["spec"],
            "a field that there is not"
        );
        let name = written["metadata"]["name"]
            .as_str()
            .or(written["metadata"]["generateName"].as_str())
            .unwrap();
        let who = SagaName {
            name: name.trim_end_matches('-').into(),
            namespace: "shop".into(),
            uid: "1".into(),
        };
        validate(&who, &spec).unwrap();
        asked.extend(saga.asked);
    }
    assert_eq!(
        asked.iter().map(|asked| asked.action).collect::<Vec<_>>(),
        [RequestAction::Pause, RequestAction::Retry]
    );
    assert!(asked.iter().all(|asked| asked.token().is_some() && asked.wish().is_ok()), "{asked:?}");
    for other in others {
        assert_eq!(
            (other["apiVersion"].as_str(), other["kind"].as_str()),
            (Some("kustomize.toolkit.fluxcd.io/v1"), Some("Kustomization"))
        );
    }
}

#[test]
fn the_page_about_gitops_names_the_buttons_that_there_are() {
    let text = gitops();
    let (_, table) = text.split_once("| action | asks for | parameter |").unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').nth(1).unwrap());
    let mut told: Vec<_> =
        rows.flat_map(|cell| cell.split(',')).map(|name| name.trim().trim_matches('`')).collect();
    told.sort_unstable();
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/argocd/actions")).unwrap();
    let files = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut there: Vec<_> = files.filter(|name| name != "discovery.lua").collect();
    there.sort_unstable();
    let mut all = RequestAction::ALL.map(RequestAction::as_str);
    all.sort_unstable();
    assert_eq!((told, there), (all.to_vec(), all.map(str::to_owned).to_vec()));
}

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
        // As a shell reads it: one word, quoted as a whole or in its value.
        let word = command.split(" #").next().unwrap().trim();
        let word = word
            .strip_prefix('\'')
            .map_or_else(|| word.replace('"', ""), |word| word.trim_end_matches('\'').to_owned());
        let (key, value) = word.split_once('=').unwrap();
        let action = RequestAction::ALL
            .into_iter()
            .find(|action| action.annotation() == key)
            .unwrap_or_else(|| panic!("{key}"));
        let asked = Asked { action, value: value.to_owned(), held_in_git: false };
        assert!(!asked.is_empty() && asked.token().is_none(), "{command}");
        asked.wish().unwrap_or_else(|error| panic!("{command}: {error}"));
        told.insert(action);
    }
    // Of two that belong together one is shown.
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

/// The rows of the table of `docs/requests.md` whose first heading is this: the first cell, and for
/// each further heading whether it says yes.
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
    let ways = [("going forward", false), ("undoing", true)];
    let own: Vec<_> = StepPhase::ALL
        .into_iter()
        .map(|phase| {
            let told = ways.iter().flat_map(|(way, backward)| {
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
                        allowed::in_step_phases(action, *backward).contains(&phase),
                    )
                })
            });
            (phase.as_str().to_owned(), told.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(table("step"), own);
}
