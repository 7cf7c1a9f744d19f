//! The text that a simulation shows to a user.
//!
//! # Guarantees
//! Each event is one line. The text contains no control characters except line ends, whatever a
//! saga contains.

use std::fmt::Write;

use super::{
    simulate::{MOST_MOVES, Rest, Run},
    timeline::{Line, clock},
};
use crate::{api::SagaPhase, model::saga::ValidSaga};

/// Returns the timeline, followed by the final state.
pub(super) fn report(saga: &ValidSaga, run: &Run) -> String {
    let mut text = format!("{} in namespace {}, from {}\n\n", saga.name, saga.namespace, run.began);
    let width = |of: &dyn Fn(&Line) -> usize| run.lines.iter().map(of).max().unwrap_or_default();
    let (instant, about) = (width(&|line| clock(line.at).len()), width(&|line| line.about.len()));
    let told = run
        .lines
        .iter()
        .map(|line| format!("{:<instant$}  {:<about$}  {}", clock(line.at), line.about, line.what));
    let summary = summary(run).into_iter().map(|(what, value)| format!("{what:<13}  {value}"));
    for line in told.chain([String::new()]).chain(summary).chain(closing(run.rest)) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line.replace(char::is_control, " ").trim_end());
    }
    text
}

fn summary(run: &Run) -> Vec<(&'static str, String)> {
    let status = &run.status;
    let still = status
        .still_in_effect
        .as_ref()
        .map(|still| if still.is_empty() { "nothing".into() } else { still.join(", ") });
    let rows = [
        ("phase", Some(status.phase.map_or("none", SagaPhase::as_str).to_owned())),
        ("message", status.message.clone()),
        ("progress", status.progress.clone()),
        ("stillInEffect", still),
        ("attempts", Some(run.attempts.to_string())),
        (
            "duration",
            run.lines.last().map(|last| clock(last.at).trim_start_matches('+').to_owned()),
        ),
    ];
    rows.into_iter().filter_map(|(what, value)| Some((what, value?))).collect()
}

fn closing(rest: Rest) -> Option<String> {
    match rest {
        Rest::Ended => None,
        Rest::Gone => Some("The saga is gone.".into()),
        Rest::Waits => Some("The saga waits for a user: the message says what to do.".into()),
        Rest::GivenUp => Some(format!(
            "Given up after {MOST_MOVES} moves of the simulated world: the saga has not ended."
        )),
    }
}
