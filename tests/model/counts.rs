//! What a whole run leaves behind for `docs/reliability.md`.

use serde_json::json;

/// Writes `build/model.json`: how many states were tried, how many laws were broken, and how many
/// twins there are and were noticed.
pub fn leave(states: usize, violations: usize, twins: usize, killed: usize) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/build");
    let date = today();
    let told = json!({
        "states": states, "violations": violations, "twins": {"killed": killed, "all": twins},
        "date": date,
    });
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(format!("{folder}/model.json"), format!("{told:#}\n")));
    if let Err(error) = written {
        println!("the counts are not written down: {error}");
    }
}

#[expect(clippy::disallowed_methods, reason = "no decision rests on it")]
fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}
