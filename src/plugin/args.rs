//! The arguments of `kubectl saga`.
//!
//! # Guarantees
//! A value that cannot be meant is refused with a sentence that says what to write instead. No
//! argument is accepted and then ignored: whether a saga has the steps that are named is judged by
//! [`super::script`].

use std::{fmt, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand};
use serde_json::{Map, Value};

use crate::{
    api::{Direction, GROUP, GoDuration, RequestAction, UserRequest, names::is_dns_label},
    world::UserAction,
};

/// The command line of `kubectl saga`.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-saga",
    bin_name = "kubectl saga",
    version,
    about = "Shows what a saga would do, without a cluster"
)]
pub struct PluginCli {
    /// The subcommand.
    #[command(subcommand)]
    pub command: PluginCommand,
}

/// The subcommands of `kubectl saga`.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Show what would run, wait, fail and be undone, without a cluster: the operator's own engine
    /// runs in a simulated world
    Simulate(SimulateArgs),
}

/// The arguments of `kubectl saga simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// The file with the sagas, in YAML or JSON, one or several documents; - for standard input
    #[arg(short, long, value_name = "FILE")]
    pub filename: PathBuf,

    /// Let the first N attempts of a step's action fail definitely, or all attempts without N. A
    /// request is not sent again after such a failure; a pod or a job is retried by its retry
    /// policy. STEP/compensation names the step's compensation
    #[arg(long, value_name = "STEP[:N]", value_parser = attempts, action = ArgAction::Append)]
    pub fail: Vec<FirstAttempts>,

    /// Let the outcome of the first N attempts stay unknown although they did their work, or of all
    /// attempts without N
    #[arg(long, value_name = "STEP[:N]", value_parser = attempts, action = ArgAction::Append)]
    pub unknown: Vec<FirstAttempts>,

    /// The outputs of the step when it is done, as a JSON object; by default, the name of each
    /// output is its value
    #[arg(long, value_name = "STEP=JSON", value_parser = outputs, action = ArgAction::Append)]
    pub outputs: Vec<(String, Map<String, Value>)>,

    /// How long an attempt of the step takes; by default 1s
    #[arg(long, value_name = "STEP=DURATION", value_parser = takes, action = ArgAction::Append)]
    pub takes: Vec<(StepTarget, Duration)>,

    /// A request of a user, and its time: '5s retry=ship', '0s pause=because', '1m delete', '0s
    /// suspend', '1m unsuspend'
    #[arg(long, value_name = "AT REQUEST", value_parser = request, action = ArgAction::Append)]
    pub request: Vec<ScheduledRequest>,
}

/// The action or the compensation of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepTarget {
    /// The step's name.
    pub step: String,
    /// The action or the compensation.
    pub direction: Direction,
}

impl fmt::Display for StepTarget {
    /// Writes the target as on the command line: `ship`, `ship/compensation`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.direction {
            Direction::Action => f.write_str(&self.step),
            Direction::Compensation => write!(f, "{}/{}", self.step, self.direction),
        }
    }
}

/// The first attempts of an action or a compensation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstAttempts {
    /// The action or the compensation that the attempts belong to.
    pub target: StepTarget,
    /// The number of attempts, at least 1. `None`: all.
    pub first: Option<i64>,
}

/// What a user does, and how long after the creation of the saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledRequest {
    /// The time after the creation of the saga.
    pub at: Duration,
    /// What the user does.
    pub action: UserAction,
}

fn target(text: &str) -> Result<StepTarget, String> {
    let (step, direction) = match text.split_once('/') {
        None => (text, Direction::Action),
        Some((step, direction)) if direction == Direction::Compensation.as_str() => {
            (step, Direction::Compensation)
        }
        Some((step, _)) => {
            return Err(format!(
                "write {step} for the step's action, or {step}/{} for what undoes it",
                Direction::Compensation
            ));
        }
    };
    if !is_dns_label(step) {
        return Err(format!("`{step}` is no step's name: write one such as ship"));
    }
    Ok(StepTarget { step: step.to_owned(), direction })
}

fn attempts(text: &str) -> Result<FirstAttempts, String> {
    let Some((name, first)) = text.split_once(':') else {
        return Ok(FirstAttempts { target: target(text)?, first: None });
    };
    match first.parse() {
        Ok(first) if first > 0 => Ok(FirstAttempts { target: target(name)?, first: Some(first) }),
        Ok(_) | Err(_) => Err(format!(
            "`{first}` is no number of attempts: write {name}:2 for the first two, or {name} for \
             all"
        )),
    }
}

fn takes(text: &str) -> Result<(StepTarget, Duration), String> {
    let (name, duration) = text
        .split_once('=')
        .ok_or("write a step and how long an attempt of it takes, such as ship=10s")?;
    Ok((target(name)?, span(duration)?))
}

fn outputs(text: &str) -> Result<(String, Map<String, Value>), String> {
    let example =
        "write a step and its outputs as a JSON object, such as ship={\"tracking\": \"T-1\"}";
    let (name, json) = text.split_once('=').ok_or(example)?;
    let outputs = serde_json::from_str(json).map_err(|error| format!("{error}: {example}"))?;
    let StepTarget { step, direction: Direction::Action } = target(name)? else {
        return Err(format!("a compensation has no outputs: {example}"));
    };
    Ok((step, outputs))
}

/// Parses a duration that may be zero.
fn span(text: &str) -> Result<Duration, String> {
    let duration: GoDuration = text.parse()?;
    if text.starts_with('-') {
        return Err(format!("{text:?} is before the beginning: write 0s or more"));
    }
    Ok(duration.positive().unwrap_or_default())
}

fn request(text: &str) -> Result<ScheduledRequest, String> {
    let example = "write when and what, such as '5s retry=ship' or '1m delete'";
    let (at, what) = text.trim().split_once(char::is_whitespace).ok_or(example)?;
    Ok(ScheduledRequest { at: span(at)?, action: action(what.trim())? })
}

fn action(text: &str) -> Result<UserAction, String> {
    match text {
        "delete" => return Ok(UserAction::Delete),
        "suspend" => return Ok(UserAction::Suspend(true)),
        "unsuspend" => return Ok(UserAction::Suspend(false)),
        _ => {}
    }
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let word = key.strip_prefix(GROUP).and_then(|rest| rest.strip_prefix('/')).unwrap_or(key);
    let Some(action) = RequestAction::ALL.into_iter().find(|action| action.as_str() == word) else {
        let known = RequestAction::ALL.map(RequestAction::as_str).join(", ");
        return Err(format!(
            "`{key}` is no request: there are {known}, each with =VALUE, and delete, suspend, \
             unsuspend"
        ));
    };
    let asked = UserRequest { action, value: value.to_owned(), reapplied: false };
    if asked.is_empty() {
        let value = if action.takes_reason() { "because" } else { "ship" };
        return Err(format!(
            "an annotation without a value asks for nothing: write {word}={value}"
        ));
    }
    Ok(UserAction::Annotate(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_holds() {
        use clap::CommandFactory;
        PluginCli::command().debug_assert();
    }

    #[test]
    fn attempts_are_those_of_an_action_or_a_compensation() {
        let of = |step: &str, direction, first| {
            Ok(FirstAttempts { target: StepTarget { step: step.into(), direction }, first })
        };
        assert_eq!(attempts("ship"), of("ship", Direction::Action, None));
        assert_eq!(attempts("ship:2"), of("ship", Direction::Action, Some(2)));
        assert_eq!(attempts("ship/compensation:1"), of("ship", Direction::Compensation, Some(1)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_to_write() {
        for (text, says) in [
            ("Ship", "no step's name"),
            ("ship:0", "write ship:2"),
            ("ship:x", "write ship:2"),
            ("ship/undo", "ship/compensation"),
        ] {
            assert!(attempts(text).unwrap_err().contains(says), "{text}: {:?}", attempts(text));
        }
        for (text, says) in [
            ("ship", "such as ship={"),
            ("ship=1", "such as ship={"),
            ("ship/compensation={}", "has no outputs"),
        ] {
            assert!(outputs(text).unwrap_err().contains(says), "{text}: {:?}", outputs(text));
        }
        for (text, says) in [
            ("ship", "such as ship=10s"),
            ("ship=soon", "is not a duration"),
            ("ship=-1s", "0s or more"),
        ] {
            assert!(takes(text).unwrap_err().contains(says), "{text}: {:?}", takes(text));
        }
        for (text, says) in [
            ("retry=ship", "when and what"),
            ("soon retry=ship", "is not a duration"),
            ("5s retri=ship", "retry, each with =VALUE"),
            ("5s retry", "write retry=ship"),
            ("5s pause", "write pause=because"),
        ] {
            assert!(request(text).unwrap_err().contains(says), "{text}: {:?}", request(text));
        }
    }

    #[test]
    fn a_request_is_an_annotation_or_a_change_of_the_saga() {
        let retry = UserAction::Annotate(UserRequest {
            action: RequestAction::Retry,
            value: "ship".into(),
            reapplied: false,
        });
        for text in ["5s retry=ship", "5s saga.dev/retry=ship"] {
            assert_eq!(
                request(text),
                Ok(ScheduledRequest { at: Duration::from_secs(5), action: retry.clone() })
            );
        }
        assert_eq!(
            request("0s delete"),
            Ok(ScheduledRequest { at: Duration::ZERO, action: UserAction::Delete })
        );
        assert_eq!(
            request("1m unsuspend"),
            Ok(ScheduledRequest { at: Duration::from_mins(1), action: UserAction::Suspend(false) })
        );
    }
}
