//! What the simulated service or child does with each attempt.

use std::{collections::BTreeMap, time::Duration};

use saga_operator::model::observation::{Answer, Failure, Reached};
use serde_json::Value;

/// The course of one attempt.
#[derive(Clone, Debug)]
pub struct Act {
    /// The time from the begin of the attempt to its end.
    pub takes: Duration,
    /// How the attempt ends.
    pub end: End,
    /// Whether the attempt does its work although no answer arrives.
    pub lands: bool,
    /// How many times the API server refuses to create the child before it creates the child.
    pub refusals: u32,
    /// How many times the creation is lost before it arrives.
    pub drops: u32,
}

/// How an attempt ends.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Succeeds,
    /// A container that succeeds and passes on these outputs.
    HandsOn(Value),
    Answers(Answer),
    Fails(Failure),
    Unknown {
        retry_after: Option<Duration>,
    },
    /// A user deletes the Pod.
    Vanishes,
    /// Runs until it is stopped. An HTTP request ends itself at its time limit.
    Never,
    /// An HTTP request that does not end even at its time limit.
    Stuck,
    /// No node takes the Pod.
    NeverStarts,
}

fn act(end: End) -> Act {
    Act { takes: Duration::from_secs(1), end, lands: false, refusals: 0, drops: 0 }
}

fn fails(reached: Reached) -> Act {
    act(End::Fails(Failure {
        reached,
        permanent: false,
        exit_code: None,
        disrupted: false,
        retry_after: None,
        message: "no".into(),
    }))
}

/// The work is done.
pub fn succeeds() -> Act {
    Act { lands: true, ..act(End::Succeeds) }
}

/// The work is done, and the container passes on these outputs.
pub fn hands_on(outputs: Value) -> Act {
    Act { lands: true, ..act(End::HandsOn(outputs)) }
}

/// The service answers with this status and this body. The work is done if the status is below 300.
pub fn answers(status: u16, body: &Value) -> Act {
    let (body, text) = (body.clone(), body.to_string());
    let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
    Act {
        lands: status < 300,
        ..act(End::Answers(Answer { status, headers, body, text, whole: true, retry_after: None }))
    }
}

/// A definite failure: an exit code, or a final answer.
pub fn says_no() -> Act {
    fails(Reached::Answer)
}

/// The service turns the attempt away without reading it: 401, 429.
pub fn turned_away() -> Act {
    fails(Reached::Rejected)
}

/// Nothing was sent.
pub fn not_reached() -> Act {
    fails(Reached::Nothing)
}

/// The Pod was evicted before it started.
pub fn disrupted() -> Act {
    let mut act = not_reached();
    act.failure().disrupted = true;
    act
}

/// The outcome is Unknown, and the work was not done.
pub fn unknown() -> Act {
    act(End::Unknown { retry_after: None })
}

/// The outcome is Unknown, and the work was done.
pub fn unknown_but_done() -> Act {
    Act { lands: true, ..unknown() }
}

pub fn vanishes() -> Act {
    act(End::Vanishes)
}

pub fn never_ends() -> Act {
    act(End::Never)
}

pub fn never_starts() -> Act {
    act(End::NeverStarts)
}

pub fn stuck() -> Act {
    act(End::Stuck)
}

/// Returns the same act this many times.
pub fn times(count: usize, act: &Act) -> Vec<Act> {
    vec![act.clone(); count]
}

impl Act {
    pub fn takes(mut self, duration: Duration) -> Self {
        self.takes = duration;
        self
    }

    /// Makes the failure permanent: no retry follows.
    pub fn finally(mut self) -> Self {
        self.failure().permanent = true;
        self
    }

    pub fn and_wants(mut self, wait: Duration) -> Self {
        match &mut self.end {
            End::Unknown { retry_after } => *retry_after = Some(wait),
            End::Fails(failure) => failure.retry_after = Some(wait),
            End::Answers(answer) => answer.retry_after = Some(wait),
            End::Succeeds
            | End::HandsOn(_)
            | End::Vanishes
            | End::Never
            | End::Stuck
            | End::NeverStarts => {
                panic!("{:?} asks for no wait", self.end)
            }
        }
        self
    }

    /// Makes the failure that of a container that ends on its own with this exit code.
    pub fn with_exit_code(mut self, code: i32) -> Self {
        self.failure().exit_code = Some(code);
        self
    }

    /// Sets the message of the failure.
    pub fn saying(mut self, message: &str) -> Self {
        self.failure().message = message.into();
        self
    }

    pub fn but_done(mut self) -> Self {
        self.lands = true;
        self
    }

    pub fn refused_first(mut self, times: u32) -> Self {
        self.refusals = times;
        self
    }

    /// Cuts off the body of the answer.
    pub fn broken_off(mut self) -> Self {
        let End::Answers(answer) = &mut self.end else { panic!("it does not answer") };
        answer.whole = false;
        self
    }

    pub fn lost_first(mut self, times: u32) -> Self {
        self.drops = times;
        self
    }

    fn failure(&mut self) -> &mut Failure {
        let End::Fails(failure) = &mut self.end else { panic!("it does not fail") };
        failure
    }
}

pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
