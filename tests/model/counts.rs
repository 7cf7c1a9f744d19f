//! The results of a whole run, for `docs/reliability.md`.

use serde_json::json;

/// Writes `build/model.json`: the number of explored states, the number of violations, the number
/// of mutants, and the number of killed mutants.
pub fn leave(states: usize, violations: usize, mutants: usize, killed: usize) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/build");
    let date = today();
    let told = json!({
        "states": states, "violations": violations, "twins": {"killed": killed, "all": mutants},
        "date": date,
    });
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(format!("{folder}/model.json"), format!("{told:#}\n")));
    if let Err(error) = written {
        println!("the counts cannot be written: {error}");
    }
}

#[expect(clippy::disallowed_methods, reason = "no decision rests on it")]
fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}
