//! Tests of the counts in `docs/reliability.md`: they are written from the files that the model and
//! the chaos sweep left under `build/`, and never by hand.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

const BEGIN: &str =
    "<!-- counts: make reliability writes what stands between these two lines -->\n";
const END: &str = "<!-- end of counts -->\n";
const NOTHING: &str = "no run is recorded";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> PathBuf {
    root().join("docs/reliability.md")
}

/// Returns the result of a run, if it left one.
fn left(name: &str) -> Option<Value> {
    let text = std::fs::read_to_string(root().join("build").join(name)).ok()?;
    Some(
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("build/{name} is no JSON: {error}")),
    )
}

/// Returns a number with a comma between thousands. A list counts by its items.
fn number(value: &Value) -> String {
    let number = value.as_array().map(Vec::len).or_else(|| usize::try_from(value.as_u64()?).ok());
    let digits = number.unwrap_or_else(|| panic!("{value} is no count")).to_string();
    let comma = |place: usize| place > 0 && (digits.len() - place).is_multiple_of(3);
    digits
        .chars()
        .enumerate()
        .flat_map(|(place, digit)| comma(place).then_some(',').into_iter().chain([digit]))
        .collect()
}

/// Returns the table, from the results of the runs.
fn table(model: Option<&Value>, chaos: Option<&Value>) -> String {
    let row = |run: &str, told: Option<(String, String)>| {
        let (tried, result) = told.unwrap_or_else(|| (NOTHING.into(), String::new()));
        format!("| {run} | {tried} | {result} |\n").replace("  |", " |")
    };
    let on = |run: &Value| run["date"].as_str().expect("a date").to_owned();
    let states = model.map(|run| {
        (
            format!("{} states on {}", number(&run["states"]), on(run)),
            format!("{} violations", number(&run["violations"])),
        )
    });
    let mutants = model.map(|run| {
        let mutants = &run["twins"];
        (
            format!("{} mutants on {}", number(&mutants["all"]), on(run)),
            format!("{} noticed", number(&mutants["killed"])),
        )
    });
    let plans = chaos.map(|run| {
        let (plans, stories, faults) =
            (number(&run["plans"]), number(&run["stories"]), number(&run["faults"]));
        let seed = run["seed"].as_u64().map(|seed| format!(", seed {seed}")).unwrap_or_default();
        (
            format!("{plans} plans of {stories} stories and {faults} faults{seed}, on {}", on(run)),
            format!("{} failed", number(&run["failed"])),
        )
    });
    let head = "| run | tried | result |\n|---|---|---|\n";
    format!("{head}{}{}{}", row("model", states), row("mutants", mutants), row("chaos", plans))
}

/// Returns the page before the table, the table, and the page after the table.
fn parts(text: &str) -> (&str, &str, &str) {
    let (before, rest) = text.split_once(BEGIN).expect("the line before the counts");
    let (table, after) = rest.split_once(END).expect("the line behind the counts");
    (before, table, after)
}

#[test]
fn the_page_about_reliability_has_counts_that_a_run_could_have_left() {
    let text = std::fs::read_to_string(page()).unwrap();
    let (before, written, after) = parts(&text);
    assert!(!after.contains(BEGIN) && !before.contains(END));
    if std::env::var_os("SAGA_WRITE_COUNTS").is_some() {
        let (model, chaos) = (left("model.json"), left("chaos.json"));
        assert!(model.is_some() || chaos.is_some(), "run `make model` or `make chaos` first");
        let fresh = table(model.as_ref(), chaos.as_ref());
        is_one_of_a_run(&fresh);
        std::fs::write(page(), format!("{before}{BEGIN}{fresh}{END}{after}")).unwrap();
        return;
    }
    is_one_of_a_run(written);
}

/// Asserts that this is a table in the form of [`table`], of runs without failures.
fn is_one_of_a_run(table: &str) {
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows[..2], [vec!["run", "tried", "result"], vec!["---", "---", "---"]]);
    assert_eq!(
        rows[2..].iter().map(|row| row[0]).collect::<Vec<_>>(),
        ["model", "mutants", "chaos"]
    );
    let counts = |text: &str| {
        text.split(' ')
            .next()
            .unwrap()
            .replace(',', "")
            .parse::<u64>()
            .unwrap_or_else(|_| panic!("{text}"))
    };
    for row in rows[2..].iter().filter(|row| row[1] != NOTHING) {
        let (tried, result) = (counts(row[1]), counts(row[2]));
        let well = if row[0] == "mutants" { result == tried } else { result == 0 };
        assert!(tried > 0 && well, "{row:?}");
    }
}

#[test]
fn the_table_says_what_the_runs_left() {
    let model = json!({
        "states": 10_234_567, "violations": 0, "twins": {"killed": 71, "all": 71},
        "date": "2026-03-01",
    });
    let chaos = json!({
        "plans": 2134, "failed": 0, "stories": ["chain", "retry"], "faults": 23, "seed": 7,
        "date": "2026-03-02",
    });
    let told = table(Some(&model), Some(&chaos));
    assert_eq!(
        told,
        "| run | tried | result |\n|---|---|---|\n\
         | model | 10,234,567 states on 2026-03-01 | 0 violations |\n\
         | mutants | 71 mutants on 2026-03-01 | 71 noticed |\n\
         | chaos | 2,134 plans of 2 stories and 23 faults, seed 7, on 2026-03-02 | 0 failed |\n"
    );
    is_one_of_a_run(&told);
    is_one_of_a_run(&table(None, None));
}

#[test]
fn the_readme_leads_to_the_page_about_reliability_and_that_to_the_others() {
    assert!(crate::readme().contains("`docs/reliability.md`"));
    let text = std::fs::read_to_string(page()).unwrap();
    for (link, _) in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let linked = std::fs::read_to_string(root().join("docs").join(file)).unwrap();
        let headings = linked
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .map(|title| title.to_lowercase().replace(' ', "-"));
        assert!(
            anchor.is_empty() || headings.into_iter().any(|heading| heading == anchor),
            "{link}"
        );
    }
    for folder in text
        .split("(`")
        .chain(text.split(", `"))
        .filter_map(|rest| rest.split_once('`'))
        .map(|(path, _)| path)
    {
        assert!(!folder.starts_with("tests/") || root().join(folder).exists(), "{folder}");
    }
}
