//! Everything outside the status: Pods, HTTP requests under way, the memory of a process, and the
//! work that was really done.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use saga_operator::{
    api::{ActiveAttempt, Direction, names::AttemptId},
    clock::{between, later},
    coordination::executor_lease,
    model::{
        observation::{Absence, ChildState, End as ChildEnd, Failure, PodTrouble, Reached},
        saga::{Identity, Work},
    },
};

use crate::script::{Act, End, succeeds};

/// A child that exists.
#[derive(Clone, Debug)]
struct Child {
    act: Act,
    uid: Option<String>,
    /// When the child ends on its own.
    ends: Option<Timestamp>,
    /// Whether the child ends at its time limit.
    cut: bool,
    stopped: Option<Timestamp>,
}

/// What a process remembers of an attempt. The memory is lost with the process.
#[derive(Clone, Debug)]
struct Known {
    pub(crate) first_read: Timestamp,
    child_since: Option<Timestamp>,
    refused_until: Option<Timestamp>,
    pub(crate) end: Option<ChildState>,
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

/// The result of performing an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Performed {
    /// Nothing changed.
    Nothing,
    /// Something changed.
    Something,
    /// The answer was lost. The shell reconciles again after a second.
    Lost,
}

/// The attempt that an effect begins.
pub struct Call<'a> {
    pub identity: &'a Identity,
    pub in_process: bool,
    pub limit: Duration,
    /// Whether even a failed attempt leaves something behind.
    pub leaves_half: bool,
    pub executor: &'a str,
    /// The work of the attempt.
    pub work: &'a Work,
}

#[derive(Default, Debug)]
pub struct OtherSide {
    scripts: BTreeMap<(String, Direction), VecDeque<Act>>,
    drawn: BTreeMap<AttemptId, Act>,
    pods: BTreeMap<AttemptId, Child>,
    requests: BTreeMap<AttemptId, Child>,
    memory: BTreeMap<AttemptId, Known>,
    keys_done: BTreeSet<String>,
    created: usize,
    /// Text that the API server puts in front of its messages.
    pub talk: String,
    /// The trouble that keeps every child from making progress.
    pub trouble: Option<PodTrouble>,
    /// Steps whose work was really done and is not undone.
    pub in_effect: BTreeSet<String>,
    /// Everything that was sent or created, in order.
    pub sent: Vec<Sent>,
}

impl OtherSide {
    /// Sets the acts of the next attempts of a step. The attempts after them succeed.
    pub fn script(&mut self, step: &str, direction: Direction, acts: Vec<Act>) {
        self.scripts.entry((step.into(), direction)).or_default().extend(acts);
    }

    /// Ends the process: its HTTP requests and its memory are lost.
    pub fn forget(&mut self) {
        self.requests.clear();
        self.memory.clear();
    }

    pub fn begin(&mut self, now: Timestamp, call: &Call<'_>) -> Performed {
        let id = &call.identity.attempt;
        let exists = if call.in_process {
            self.requests.contains_key(id)
        } else {
            self.pods.contains_key(id)
        };
        if exists {
            return Performed::Nothing;
        }
        let scripts = &mut self.scripts;
        let draw = || {
            scripts
                .get_mut(&(id.step.clone(), id.direction))
                .and_then(VecDeque::pop_front)
                .unwrap_or_else(succeeds)
        };
        let act = self.drawn.entry(id.clone()).or_insert_with(draw);
        if act.drops > 0 {
            act.drops -= 1;
            return Performed::Lost;
        }
        let known = self.memory.get_mut(id).expect(
            "an attempt is looked at before it begins, or begins in the pass that wrote it",
        );
        if act.refusals > 0 && !call.in_process {
            act.refusals -= 1;
            known.refused_until = Some(later(now, Duration::from_secs(1)));
            return Performed::Something;
        }
        known.child_since = Some(now);
        let act = act.clone();
        self.sent.push(Sent {
            attempt: id.clone(),
            key: call.identity.key.clone(),
            at: now,
            executor: call.executor.to_owned(),
            work: call.work.clone(),
        });
        let act = self.land(act, call);
        self.create(now, id, act, call);
        Performed::Something
    }

    /// Applies the work of an attempt. The service remembers keys: it does not repeat work that was
    /// done, and answers with success.
    fn land(&mut self, mut act: Act, call: &Call<'_>) -> Act {
        let Identity { attempt, key, .. } = call.identity;
        let no = matches!(&act.end, End::Fails(failure) if failure.reached == Reached::Answer);
        if no && self.keys_done.contains(key) {
            act.end = End::Succeeds;
        }
        let lands = act.lands || act.end == End::Succeeds;
        if lands {
            self.keys_done.insert(key.clone());
        }
        match attempt.direction {
            Direction::Action if lands || (no && call.leaves_half) => {
                self.in_effect.insert(attempt.step.clone());
            }
            Direction::Compensation if lands => {
                self.in_effect.remove(&attempt.step);
            }
            Direction::Action | Direction::Compensation => {}
        }
        act
    }

    fn create(&mut self, now: Timestamp, id: &AttemptId, act: Act, call: &Call<'_>) {
        let takes = match act.end {
            End::Succeeds
            | End::HandsOn(_)
            | End::Answers(_)
            | End::Fails(_)
            | End::Unknown { .. }
            | End::Vanishes => Some(act.takes),
            End::Never if call.in_process => Some(Duration::MAX),
            End::Never | End::Stuck | End::NeverStarts => None,
        };
        let cut = call.in_process && takes.is_some_and(|takes| takes > call.limit);
        let ends = takes.map(|takes| later(now, if cut { call.limit } else { takes }));
        self.created += 1;
        let uid = (!call.in_process).then(|| format!("pod-{}", self.created));
        let child = Child { act, uid, ends, cut, stopped: None };
        if call.in_process {
            self.requests.insert(id.clone(), child)
        } else {
            self.pods.insert(id.clone(), child)
        };
    }

    pub fn stop(&mut self, now: Timestamp, id: &AttemptId) -> Performed {
        let known = self.memory.get_mut(id).expect("an attempt is looked at before it is stopped");
        if self.requests.remove(id).is_some() {
            known.end = Some(ChildState::Ended(ChildEnd::Unknown {
                message: "no answer within its time".into(),
                retry_after: None,
            }));
            return Performed::Something;
        }
        let Some(child) = self.pods.get_mut(id).filter(|child| child.stopped.is_none()) else {
            return Performed::Nothing;
        };
        if child.act.end == End::NeverStarts {
            let message = "no node took its Pod".into();
            let failure = Failure {
                reached: Reached::Nothing,
                permanent: false,
                exit_code: None,
                disrupted: false,
                retry_after: None,
                message,
            };
            known.end = Some(ChildState::Ended(ChildEnd::Failed(failure)));
            self.pods.remove(id);
        } else {
            child.stopped = Some(now);
        }
        Performed::Something
    }

    /// Calls off what the process sent, as if its Lease expired or the process was told to stop.
    pub fn call_off(&mut self) {
        for id in std::mem::take(&mut self.requests).into_keys() {
            let known = self.memory.get_mut(&id).expect("what was sent is known");
            known.end.get_or_insert(ChildState::Ended(ChildEnd::CalledOff {
                message: "the operator lost its Lease before an answer came".into(),
            }));
        }
    }

    /// Remembers that the process read this intent.
    pub fn read(&mut self, now: Timestamp, id: &AttemptId) {
        let fresh = || Known { first_read: now, child_since: None, refused_until: None, end: None };
        self.memory.entry(id.clone()).or_insert_with(fresh);
    }

    /// Returns what the process observes of an attempt.
    pub fn look(
        &mut self,
        now: Timestamp,
        id: &AttemptId,
        active: &ActiveAttempt,
        executor: &str,
    ) -> ChildState {
        self.pods.retain(|_, child| !is_gone(child, now));
        self.read(now, id);
        let known = self.memory.get_mut(id).expect("just read");
        if let Some(end) = &known.end {
            return end.clone();
        }
        if active.executor.as_deref().is_some_and(|sender| sender != executor) {
            // After the term of its Lease, a process counts as dead.
            let left = executor_lease::TERM.saturating_sub(between(known.first_read, now));
            let message = "the operator that sent the request is gone".into();
            let gone = left
                .is_zero()
                .then_some(ChildState::Ended(ChildEnd::Unknown { message, retry_after: None }));
            return gone.unwrap_or(ChildState::Elsewhere { look_again_in: left });
        }
        if let Some(child) = self.requests.get(id).or_else(|| self.pods.get(id)) {
            let since = *known.child_since.get_or_insert(now);
            return state(child, now, between(since, now), &self.talk, self.trouble);
        }
        if let Some(until) = known.refused_until.filter(|until| *until > now) {
            let known_for = between(known.first_read, now);
            return ChildState::Refused {
                message: format!("{}exceeded quota", self.talk),
                retry_in: between(now, until),
                known_for,
            };
        }
        let Known { first_read, child_since, refused_until, .. } = known;
        let (seen, refused) = (child_since.is_some(), refused_until.is_some());
        ChildState::Absent(Absence { seen, refused, known_for: between(*first_read, now) })
    }

    /// Returns whether succeeded Pods still exist.
    pub fn leftovers(&self, now: Timestamp) -> bool {
        self.pods.values().any(|child| has_succeeded(child, now))
    }

    pub fn sweep(&mut self, now: Timestamp) {
        self.pods.retain(|_, child| !has_succeeded(child, now));
    }

    /// Returns when the next child ends on its own or disappears because it was stopped.
    pub fn next_event(&self, now: Timestamp) -> Option<Timestamp> {
        let children = self.pods.values().chain(self.requests.values());
        children
            .flat_map(|child| [child.ends, child.stopped.map(gone_at)])
            .flatten()
            .filter(|at| *at > now)
            .min()
    }
}

fn has_succeeded(child: &Child, now: Timestamp) -> bool {
    child.act.end == End::Succeeds && child.ends.is_some_and(|ends| ends <= now)
}

fn gone_at(stopped: Timestamp) -> Timestamp {
    later(stopped, Duration::from_secs(1))
}

/// Returns whether a Pod no longer exists.
fn is_gone(child: &Child, now: Timestamp) -> bool {
    let vanished = child.act.end == End::Vanishes && child.ends.is_some_and(|ends| ends <= now);
    let ended = child.ends.is_some_and(|ends| ends <= now);
    vanished || (!ended && child.stopped.is_some_and(|stopped| gone_at(stopped) <= now))
}

/// Returns the message of a child that has not ended.
fn does(trouble: Option<PodTrouble>) -> &'static str {
    trouble.map_or("it runs", PodTrouble::as_str)
}

fn state(
    child: &Child,
    now: Timestamp,
    age: Duration,
    talk: &str,
    trouble: Option<PodTrouble>,
) -> ChildState {
    if child.ends.is_none_or(|ends| ends > now) {
        return ChildState::Active {
            uid: child.uid.clone(),
            age,
            detail: format!("{talk}{}", does(trouble)),
            trouble,
        };
    }
    ChildState::Ended(match &child.act.end {
        _ if child.cut => {
            ChildEnd::Unknown { message: "no answer within its time".into(), retry_after: None }
        }
        End::Succeeds => ChildEnd::Succeeded(None),
        End::HandsOn(outputs) => ChildEnd::Succeeded(outputs.as_object().cloned()),
        End::Answers(answer) => ChildEnd::Answered(Arc::new(answer.clone())),
        End::Fails(failure) => ChildEnd::Failed(failure.clone()),
        End::Unknown { retry_after } => ChildEnd::Unknown {
            message: "the connection was lost".into(),
            retry_after: *retry_after,
        },
        End::Vanishes | End::Never | End::Stuck | End::NeverStarts => {
            ChildEnd::Unknown { message: "the connection was lost".into(), retry_after: None }
        }
    })
}
