//! The services and the children around a world, by their scripts: what each attempt does, and when
//! it ends. The world itself is `saga_operator::world`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use saga_operator::{
    api::{Direction, names::AttemptId},
    clock::later,
    model::{
        observation::{End as Told, Failure, PodTrouble, Reached},
        saga::{Identity, Work},
    },
    world::{AttemptEnd, AttemptRef, CreationFaults},
};

use crate::script::{Act, End, succeeds};

/// An attempt that is under way.
#[derive(Clone, Debug)]
struct Running {
    act: Act,
    is_request: bool,
    /// When the attempt ends by its script.
    ends: Option<Timestamp>,
    /// Whether the attempt ends at its time limit.
    cut: bool,
    /// When the Pod was told to stop.
    stopped: Option<Timestamp>,
}

/// One effect that left the process.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    pub attempt: AttemptId,
    pub key: String,
    pub at: Timestamp,
    pub executor: String,
    /// The work of the attempt.
    pub work: Work,
}

/// How an attempt ends: at the service, and in the words of the service.
#[derive(Clone, Debug)]
pub struct Ending {
    pub attempt: AttemptRef,
    pub end: AttemptEnd,
    /// What the operator is told; `None` if it is told nothing.
    pub told: Option<Told>,
}

#[derive(Default, Debug)]
pub struct Services {
    scripts: BTreeMap<(String, Direction), VecDeque<Act>>,
    drawn: BTreeMap<AttemptId, Act>,
    running: BTreeMap<AttemptRef, Running>,
    keys_done: BTreeSet<String>,
    /// Whether succeeded Pods exist.
    pub leftovers: bool,
    /// Whether Pods of old failed attempts exist.
    pub surplus: bool,
    /// Text that the API server puts in front of its messages.
    pub talk: String,
    /// The trouble that keeps every child from making progress.
    pub trouble: Option<PodTrouble>,
    /// Steps whose work was really done and is not undone.
    pub in_effect: BTreeSet<String>,
    /// Everything that was sent or created, in order.
    pub sent: Vec<Sent>,
}

impl Services {
    /// Sets the acts of the next attempts of a step. The attempts after them succeed.
    pub fn script(&mut self, step: &str, direction: Direction, acts: Vec<Act>) {
        self.scripts.entry((step.into(), direction)).or_default().extend(acts);
    }

    /// Returns what keeps an attempt from beginning the first time. The attempts that were tried
    /// before are hindered by what is left of it.
    pub fn creation_faults(&self, id: &AttemptId) -> Option<CreationFaults> {
        if self.drawn.contains_key(id) {
            return None;
        }
        let act = self.scripts.get(&(id.step.clone(), id.direction))?.front()?;
        Some(CreationFaults { lost: act.drops, refused: act.refusals })
    }

    /// Takes the next act of the script for an attempt, unless the attempt has one.
    pub fn draw(&mut self, id: &AttemptId) -> Act {
        let scripts = &mut self.scripts;
        let next = || {
            scripts
                .get_mut(&(id.step.clone(), id.direction))
                .and_then(VecDeque::pop_front)
                .unwrap_or_else(succeeds)
        };
        self.drawn.entry(id.clone()).or_insert_with(next).clone()
    }

    /// Begins an attempt that was sent or created. The service remembers keys: it answers with
    /// success if the work under the key is done.
    pub fn begin(&mut self, attempt: AttemptRef, sent: Sent, limit: Duration) {
        let (mut act, is_request) = (self.draw(&sent.attempt), matches!(sent.work, Work::Http(_)));
        let no = matches!(&act.end, End::Fails(failure) if failure.reached == Reached::Answer);
        if no && self.keys_done.contains(&sent.key) {
            act.end = End::Succeeds;
        }
        act.lands |= act.end == End::Succeeds;
        if act.lands {
            self.keys_done.insert(sent.key.clone());
        }
        let takes = match act.end {
            End::Succeeds
            | End::HandsOn(_)
            | End::Answers(_)
            | End::Fails(_)
            | End::Unknown { .. }
            | End::Vanishes => Some(act.takes),
            End::Never if is_request => Some(Duration::MAX),
            End::Never | End::Stuck | End::NeverStarts => None,
        };
        let cut = is_request && takes.is_some_and(|takes| takes > limit);
        let ends = takes.map(|takes| later(sent.at, if cut { limit } else { takes }));
        self.running.insert(attempt, Running { act, is_request, ends, cut, stopped: None });
        self.sent.push(sent);
    }

    /// Returns how an attempt ends at once because it was stopped, if it does.
    pub fn stop(&mut self, attempt: AttemptRef, now: Timestamp) -> Option<Ending> {
        let running = self.running.get_mut(&attempt)?;
        running.stopped = Some(now);
        let told = match &running.act.end {
            _ if running.is_request => None,
            End::NeverStarts => Some(Told::Failed(Failure {
                reached: Reached::Nothing,
                permanent: false,
                exit_code: None,
                disrupted: false,
                retry_after: None,
                message: "no node took its Pod".into(),
            })),
            _ => return None,
        };
        let end = AttemptEnd::Unknown(running.act.lands);
        self.running.remove(&attempt);
        Some(Ending { attempt, end, told })
    }

    /// Returns how the HTTP requests end whose answers no process waits for any more.
    pub fn abandon_requests(&mut self) -> Vec<Ending> {
        let requests = self.running.extract_if(.., |_, running| running.is_request);
        let ending = |(attempt, running): (AttemptRef, Running)| Ending {
            attempt,
            end: AttemptEnd::Unknown(running.act.lands),
            told: None,
        };
        requests.map(ending).collect()
    }

    /// Returns the attempts that end by now, and forgets them.
    pub fn ended(&mut self, now: Timestamp) -> Vec<Ending> {
        let is_due = |running: &Running| {
            [running.ends, running.stopped.map(gone_at)].into_iter().flatten().any(|at| at <= now)
        };
        let due: Vec<_> = self.running.extract_if(.., |_, running| is_due(running)).collect();
        due.into_iter()
            .map(|(attempt, running)| {
                let by_itself = running.ends.is_some_and(|ends| ends <= now);
                let ending = ending(attempt, &running, by_itself);
                let succeeded = by_itself && running.act.end == End::Succeeds;
                self.leftovers |= succeeded && !running.is_request;
                ending
            })
            .collect()
    }

    /// Returns when the next attempt ends by its script, or when its stopped Pod disappears.
    pub fn next_event(&self, now: Timestamp) -> Option<Timestamp> {
        self.running
            .values()
            .flat_map(|running| [running.ends, running.stopped.map(gone_at)])
            .flatten()
            .filter(|at| *at > now)
            .min()
    }
}

fn gone_at(stopped: Timestamp) -> Timestamp {
    later(stopped, Duration::from_secs(1))
}

/// Returns how an attempt ends. `by_itself`: by its script, and not because its Pod was stopped.
fn ending(attempt: AttemptRef, running: &Running, by_itself: bool) -> Ending {
    let Running { act, cut, .. } = running;
    let unknown =
        |message: &str, retry_after| Some(Told::Unknown { message: message.into(), retry_after });
    let done = AttemptEnd::Unknown(act.lands);
    let (end, told) = match &act.end {
        _ if !by_itself => (AttemptEnd::Vanished(act.lands), None),
        _ if *cut => (done, unknown("no answer within its time limit", None)),
        End::Succeeds => (AttemptEnd::Done, Some(Told::Succeeded(None))),
        End::HandsOn(outputs) => (done, Some(Told::Succeeded(outputs.as_object().cloned()))),
        End::Answers(answer) => (done, Some(Told::Answered(Arc::new(answer.clone())))),
        End::Fails(failure) if failure.reached == Reached::Answer && !act.lands => {
            (AttemptEnd::No, Some(Told::Failed(failure.clone())))
        }
        End::Fails(failure) => (done, Some(Told::Failed(failure.clone()))),
        End::Unknown { retry_after } => (done, unknown("the connection was lost", *retry_after)),
        End::Vanishes => (AttemptEnd::Vanished(act.lands), None),
        End::Never | End::Stuck | End::NeverStarts => {
            (done, unknown("the connection was lost", None))
        }
    };
    Ending { attempt, end, told }
}

/// Returns the identity of the attempt as it is sent.
pub fn sent(identity: &Identity, work: &Work, executor: String, at: Timestamp) -> Sent {
    Sent {
        attempt: identity.attempt.clone(),
        key: identity.key.clone(),
        at,
        executor,
        work: work.clone(),
    }
}
