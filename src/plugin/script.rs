//! The part of a simulation that the operator does not decide: how attempts end, how long they
//! take, and which requests a user makes.
//!
//! # Guarantees
//! Every named step is a step of a simulated saga, and its attempts can end in the named way.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};

use super::args::{FirstAttempts, ScheduledRequest, SimulateArgs, StepTarget};
use crate::{
    api::Direction,
    model::saga::{ValidSaga, ValidStep},
    world::AttemptEnd,
};

/// How long an attempt takes if no argument says otherwise.
const TAKES: Duration = Duration::from_secs(1);

/// What happens, for all sagas of the file.
#[derive(Clone, Debug)]
pub(super) struct Script {
    fail: Vec<FirstAttempts>,
    unknown: Vec<FirstAttempts>,
    outputs: BTreeMap<String, Map<String, Value>>,
    takes: Vec<(StepTarget, Duration)>,
    requests: Vec<ScheduledRequest>,
}

impl Script {
    /// Checks the arguments against the sagas and against each other.
    ///
    /// # Errors
    /// Returns a sentence that says what is wrong and which values are valid.
    pub(super) fn new(arguments: &SimulateArgs, sagas: &[&ValidSaga]) -> Result<Self, String> {
        let SimulateArgs { filename: _, fail, unknown, outputs, takes, request } = arguments;
        let mut requests = request.clone();
        requests.sort_by_key(|request| request.at);
        let ends = || {
            [("--fail", fail), ("--unknown", unknown)]
                .into_iter()
                .flat_map(|(flag, list)| list.iter().map(move |of| (flag, &of.target)))
        };
        let hands_on = |(step, _): &(String, Map<String, Value>)| StepTarget {
            step: step.clone(),
            direction: Direction::Action,
        };
        let given: Vec<_> = outputs.iter().map(hands_on).collect();
        let lasts = || takes.iter().map(|(target, _)| ("--takes", target));
        for (flag, target) in
            ends().chain(lasts()).chain(given.iter().map(|target| ("--outputs", target)))
        {
            check(target, sagas).map_err(|sentence| format!("{flag} {target}: {sentence}"))?;
        }
        once(&ends().map(|(_, target)| target).collect::<Vec<_>>(), "--fail and --unknown")?;
        once(&lasts().map(|(_, target)| target).collect::<Vec<_>>(), "--takes")?;
        once(&given.iter().collect::<Vec<_>>(), "--outputs")?;
        Ok(Self {
            fail: fail.clone(),
            unknown: unknown.clone(),
            outputs: outputs.iter().cloned().collect(),
            takes: takes.clone(),
            requests,
        })
    }

    /// Returns how an attempt ends.
    pub(super) fn ending(&self, step: &str, direction: Direction, number: i64) -> AttemptEnd {
        let covers = |list: &[FirstAttempts]| {
            let found = list.iter().find(|of| is(&of.target, step, direction));
            found.is_some_and(|of| of.first.is_none_or(|first| number <= first))
        };
        match (covers(&self.fail), covers(&self.unknown)) {
            (true, _) => AttemptEnd::No,
            (false, true) => AttemptEnd::Unknown(true),
            (false, false) => AttemptEnd::Done,
        }
    }

    /// Returns how long an attempt takes.
    pub(super) fn takes(&self, step: &str, direction: Direction) -> Duration {
        self.takes
            .iter()
            .find(|(target, _)| is(target, step, direction))
            .map_or(TAKES, |(_, takes)| *takes)
    }

    /// Returns the outputs of the steps.
    pub(super) fn outputs(&self) -> &BTreeMap<String, Map<String, Value>> {
        &self.outputs
    }

    /// Returns the requests of the user, the earliest first.
    pub(super) fn requests(&self) -> &[ScheduledRequest] {
        &self.requests
    }
}

fn is(target: &StepTarget, step: &str, direction: Direction) -> bool {
    target.step == step && target.direction == direction
}

fn once(targets: &[&StepTarget], flags: &str) -> Result<(), String> {
    let twice = targets
        .iter()
        .enumerate()
        .find(|(place, target)| targets.iter().take(*place).any(|other| other == *target));
    twice.map_or(Ok(()), |(_, target)| {
        Err(format!("{target} is named twice by {flags}: name it once"))
    })
}

fn check(target: &StepTarget, sagas: &[&ValidSaga]) -> Result<(), String> {
    let all = || sagas.iter().flat_map(|saga| &saga.steps);
    let mut named = all().filter(|step| step.name == target.step).peekable();
    if named.peek().is_none() {
        return Err(format!("there is no such step: the steps are {}", list(all())));
    }
    match target.direction {
        Direction::Action if named.all(|step| step.action.only_waits()) => {
            let how = "a user answers it, such as by --request '5s approve=STEP', or its time \
                limit passes";
            Err(format!("the step only waits, and makes no attempts: {how}"))
        }
        Direction::Compensation if named.all(|step| step.compensation.is_none()) => Err(format!(
            "the step has no compensation; those that have are {}",
            list(all().filter(|step| step.compensation.is_some()))
        )),
        Direction::Action | Direction::Compensation => Ok(()),
    }
}

/// Returns the names of the steps, each name once.
fn list<'a>(steps: impl Iterator<Item = &'a ValidStep>) -> String {
    let mut names = Vec::new();
    for step in steps {
        if !names.contains(&step.name.as_str()) {
            names.push(step.name.as_str());
        }
    }
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
