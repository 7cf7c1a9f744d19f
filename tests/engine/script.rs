//! What the other side does with each attempt.

use std::{collections::BTreeMap, time::Duration};

use saga_operator::model::observation::{Answer, Failure, Reached};
use serde_json::Value;

/// One attempt as the other side plays it.
#[derive(Clone, Debug)]
pub struct Act {
    /// From its begin to its end.
    pub takes: Duration,
    /// How it ends.
    pub end: End,
    /// Whether it does its work although nobody hears of it.
    pub lands: bool,
    /// How often the API server refuses to create the child before it does.
    pub refusals: u32,
    /// How often the creation gets lost before it arrives.
    pub drops: u32,
}

/// How an attempt ends.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Succeeds,
    /// A container that ends well and hands this on.
    HandsOn(Value),
    Answers(Answer),
    Fails(Failure),
    Unknown {
        retry_after: Option<Duration>,
    },
    /// Someone deletes the Pod.
    Vanishes,
    /// Runs until it is stopped. A request stops itself at its limit.
    Never,
    /// A request that does not even end itself at its limit.
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
        last: false,
        exit_code: None,
        disrupted: false,
        retry_after: None,
        message: "no".into(),
    }))
}

/// It is done.
pub fn succeeds() -> Act {
    Act { lands: true, ..act(End::Succeeds) }
}

/// It is done, and hands this on.
pub fn hands_on(outputs: Value) -> Act {
    Act { lands: true, ..act(End::HandsOn(outputs)) }
}

/// The other side answers so.
pub fn answers(status: u16, body: &Value) -> Act {
    let (body, text) = (body.clone(), body.to_string());
    let headers = BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]);
    Act {
        lands: status < 300,
        ..act(End::Answers(Answer { status, headers, body, text, whole: true, retry_after: None }))
    }
}

/// A definite no: an exit code, a final answer.
pub fn says_no() -> Act {
    fails(Reached::Answer)
}

/// Turned away without a look: 401, 429.
pub fn turned_away() -> Act {
    fails(Reached::Door)
}

/// Nothing was sent.
pub fn not_reached() -> Act {
    fails(Reached::Nothing)
}

/// Evicted before it started.
pub fn disrupted() -> Act {
    let mut act = not_reached();
    act.failure().disrupted = true;
    act
}

/// Nobody can tell, and nothing was done.
pub fn unknown() -> Act {
    act(End::Unknown { retry_after: None })
}

/// Nobody can tell, and it was done.
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

/// The same act so many times.
pub fn times(count: usize, act: &Act) -> Vec<Act> {
    vec![act.clone(); count]
}

impl Act {
    pub fn takes(mut self, duration: Duration) -> Self {
        self.takes = duration;
        self
    }

    /// No further attempt is to be made.
    pub fn finally(mut self) -> Self {
        self.failure().last = true;
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

    /// A container that ends by itself with this exit code.
    pub fn with_exit_code(mut self, code: i32) -> Self {
        self.failure().exit_code = Some(code);
        self
    }

    /// The failure's message.
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

    /// The body of the answer breaks off.
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
