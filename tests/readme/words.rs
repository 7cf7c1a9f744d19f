//! Tests of what the README says that need no cluster.

mod requests;

use std::{collections::BTreeSet, path::Path, time::Duration};

use clap::CommandFactory;
use saga_operator::{
    api::{RequestAction, SagaPhase, StoredSaga},
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
    assert_eq!(names.len(), 10);
    for name in names {
        let name = name.replace("{{ include \"saga-operator.fullname\" . }}", "saga-operator");
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
}

/// A row of the threat model that no test shows is a promise.
#[test]
fn the_tests_that_the_threat_model_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let rows: Vec<_> = page
        .split("## Threat model")
        .nth(1)
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| who |"))
        .collect();
    assert!(rows.len() > 9, "{rows:?}");
    for row in rows {
        let tests: Vec<_> =
            row.rsplit('|').nth(1).unwrap().split('`').filter(|part| part.contains('/')).collect();
        assert!(!tests.is_empty(), "{row}");
        for test in tests {
            assert!(root.join(test).is_file(), "{test}");
        }
    }
}

#[test]
fn the_page_about_operations_names_the_series_and_the_reasons_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/operations.md")).unwrap();
    let metrics = Metrics::new("1.2.3");
    metrics.sagas().set(|| [(("Failed", "StepFailed"), 1)].into());
    // A metric without a value is not listed.
    metrics.saga_ended("Failed");
    metrics.step_settled("http", "action", "Failed", Duration::ZERO);
    metrics.step_retried("http", "action");
    metrics.request_answered("retry", "Accepted");
    metrics.watch_failed("Pod");
    metrics.unreadable_met("Job");
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
        .collect();
    let told: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `saga_")?.split_once('`'))
        .map(|(name, _)| format!("saga_{name}"))
        .collect();
    assert_eq!(told, there);
    let reasons: BTreeSet<_> =
        sources(&root.join("src/engine")).iter().flat_map(|source| reasons(source)).collect();
    assert!(reasons.len() > 8, "{reasons:?}");
    for reason in reasons
        .iter()
        .map(String::as_str)
        .chain(SagaPhase::ALL.map(SagaPhase::as_str))
        .filter(|reason| !["Pending", "Running"].contains(reason))
    {
        assert!(page.contains(&format!("`{reason}`")), "{reason}");
    }
}

/// Returns the sources in a folder and in its subfolders, each as one line.
fn sources(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let words: Vec<_> = text.split_whitespace().collect();
            found.push(words.join(" ").replace("( ", "("));
        }
    }
    found
}

/// Returns the event reasons that a source contains.
fn reasons(source: &str) -> Vec<String> {
    let marks = ["reason: \"", ".warn(\"", ".publish(\""];
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
    assert!(asked.iter().all(|asked| asked.token().is_some() && asked.body().is_ok()), "{asked:?}");
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
