//! The trials of sagas before their first step: which trial is under way, the result of the last
//! one, and when the next one is due.
//!
//! # Guarantees
//! - At most one trial of a saga is under way. A trial of another spec is called off.
//! - The result of a refused saga is kept until the next trial ends. So a reconcile between two
//!   trials costs no call.
//! - The waits between two trials double, as [`next_wait`] says. A request to try the saga again is
//!   met at once, and the waits begin anew.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{task::AbortHandle, time::Instant};

use super::prechecks::GOOD_FOR;
use crate::{
    api::{StoredSaga, limits::FIRST_RECHECK},
    engine::precheck::next_wait,
    model::input::Precheck,
};

/// The spec that a trial is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) struct TriedSpec {
    generation: i64,
    /// A cluster that was restored from a backup may give a generation twice.
    hash: String,
}

impl TriedSpec {
    /// Returns the spec of this copy.
    pub(in crate::controller) fn of(stored: &StoredSaga) -> Self {
        let generation = stored.metadata.generation.unwrap_or_default();
        Self { generation, hash: stored.spec_hash.clone() }
    }
}

/// The request that asked for a trial: the hash of its value, and the number of the last request
/// that was handled before.
pub(in crate::controller) type TrialRequest = (String, i64);

/// What a reconcile wants to know.
pub(in crate::controller) struct TrialQuestion {
    pub(in crate::controller) uid: String,
    pub(in crate::controller) spec: TriedSpec,
    /// The request that has to be answered by a trial of its own.
    pub(in crate::controller) request: Option<TrialRequest>,
    /// The first wait, if this process has not tried the saga yet.
    pub(in crate::controller) first_wait: Duration,
}

/// What is known of a saga.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::controller) enum TrialStanding {
    /// The result of the last trial.
    Known(Precheck),
    /// No result yet. The saga is enqueued when its trial ends, or it has to be requeued after this
    /// time.
    Awaited(Option<Duration>),
}

/// A trial that begins.
#[derive(Debug)]
pub(in crate::controller) struct TrialOrder {
    pub(in crate::controller) number: u64,
    /// Whether the trial ignores the kept results of equal operations.
    pub(in crate::controller) anew: bool,
    /// Whether the last trial of this spec refused the saga.
    pub(in crate::controller) was_refused: bool,
}

/// How a trial ended.
#[derive(Debug)]
pub(in crate::controller) enum TrialEnd {
    /// The operations were tried.
    Tried(Precheck),
    /// The trial could not be carried out.
    Failed,
    /// The saga is gone or has another spec.
    Obsolete,
}

/// What is known of the trials of sagas, by UID.
#[derive(Debug, Default)]
pub struct Trials(Mutex<TrialTable>);

#[derive(Debug, Default)]
struct TrialTable {
    /// How many trials began.
    begun: u64,
    sagas: HashMap<String, SagaTrials>,
}

#[derive(Debug)]
struct SagaTrials {
    spec: TriedSpec,
    under_way: Option<TrialUnderWay>,
    last: Option<LastTrial>,
    /// The wait after the next refusal.
    wait: Duration,
}

#[derive(Debug)]
struct TrialUnderWay {
    number: u64,
    request: Option<TrialRequest>,
    task: AbortHandle,
}

#[derive(Debug)]
struct LastTrial {
    at: Instant,
    /// How long the result holds.
    holds: Duration,
    /// The request that the trial answers.
    request: Option<TrialRequest>,
    /// The result; `None` if the trial could not be carried out.
    result: Option<Precheck>,
}

impl LastTrial {
    fn refused(&self) -> Option<&Precheck> {
        self.result.as_ref().filter(|result| !result.refused.is_empty())
    }
}

impl SagaTrials {
    const fn new(spec: TriedSpec, wait: Duration) -> Self {
        Self { spec, under_way: None, last: None, wait }
    }

    /// Returns what is known, or `None` if a trial has to begin.
    fn standing(&self, request: Option<&TrialRequest>) -> Option<TrialStanding> {
        let last = self.last.as_ref();
        if self.under_way.is_some() {
            // Meanwhile a refused saga stays refused, and answers other requests.
            let refused = last.and_then(LastTrial::refused).filter(|_| request.is_none());
            return Some(
                refused.cloned().map_or(TrialStanding::Awaited(None), TrialStanding::Known),
            );
        }
        let last = last.filter(|last| request.is_none() || last.request.as_ref() == request)?;
        let left = last.holds.checked_sub(last.at.elapsed()).filter(|left| !left.is_zero())?;
        Some(match (&last.result, last.refused()) {
            (_, Some(refused)) => {
                TrialStanding::Known(Precheck { again: Some(left), ..refused.clone() })
            }
            (Some(result), None) => TrialStanding::Known(result.clone()),
            (None, None) => TrialStanding::Awaited(Some(left)),
        })
    }

    fn call_off(&self) {
        if let Some(trial) = &self.under_way {
            trial.task.abort();
        }
    }

    /// Notes the end of a trial that answers this request.
    fn note(&mut self, result: Option<Precheck>, request: Option<TrialRequest>) {
        if request.is_some() {
            self.wait = FIRST_RECHECK;
        }
        let fine = result.as_ref().is_some_and(|result| result.refused.is_empty());
        let holds = if fine { GOOD_FOR } else { self.wait };
        self.wait = if fine { FIRST_RECHECK } else { next_wait(self.wait) };
        let result = result.map(|mut result| {
            if !fine {
                // Only the acceptance says what is unchecked.
                result.unchecked.clear();
            }
            result
        });
        self.last = Some(LastTrial { at: Instant::now(), holds, request, result });
    }
}

impl Trials {
    /// Returns what is known of a saga. If a trial has to begin, `begin` starts it.
    pub(in crate::controller) fn standing(
        &self,
        question: TrialQuestion,
        begin: impl FnOnce(TrialOrder) -> AbortHandle,
    ) -> TrialStanding {
        let TrialQuestion { uid, spec, request, first_wait } = question;
        let mut table = self.lock();
        let TrialTable { begun, sagas } = &mut *table;
        let saga = sagas.entry(uid).or_insert_with(|| SagaTrials::new(spec.clone(), first_wait));
        if saga.spec != spec {
            saga.call_off();
            *saga = SagaTrials::new(spec, first_wait);
        }
        if let Some(standing) = saga.standing(request.as_ref()) {
            return standing;
        }
        *begun = begun.saturating_add(1);
        let (number, anew) = (*begun, request.is_some());
        let was_refused = saga.last.as_ref().and_then(LastTrial::refused).is_some();
        let task = begin(TrialOrder { number, anew, was_refused });
        let awaited = request.clone();
        saga.under_way = Some(TrialUnderWay { number, request, task });
        saga.standing(awaited.as_ref()).unwrap_or(TrialStanding::Awaited(None))
    }

    /// Notes the end of the trial with this number.
    pub(in crate::controller) fn end(&self, uid: &str, number: u64, end: TrialEnd) {
        let mut table = self.lock();
        let Some(saga) = table.sagas.get_mut(uid) else { return };
        // A trial that was called off may end nevertheless.
        let Some(trial) = saga.under_way.take_if(|trial| trial.number == number) else { return };
        match end {
            TrialEnd::Tried(result) => saga.note(Some(result), trial.request),
            TrialEnd::Failed => {
                let before = saga.last.take().and_then(|last| last.result);
                // A request is not answered by an earlier result.
                let before = before.filter(|_| trial.request.is_none());
                saga.note(before.filter(|before| !before.refused.is_empty()), trial.request);
            }
            TrialEnd::Obsolete => _ = table.sagas.remove(uid),
        }
    }

    /// Forgets a saga that is not tried any more, and calls its trial off.
    pub(in crate::controller) fn settle(&self, uid: &str) {
        if let Some(saga) = self.lock().sagas.remove(uid) {
            saga.call_off();
        }
    }

    /// Forgets the sagas that ended or were deleted, and calls their trials off.
    pub(in crate::controller) fn forget(&self, lives: impl Fn(&str) -> bool) {
        self.lock().sagas.retain(|uid, saga| {
            let stays = lives(uid);
            if !stays {
                saga.call_off();
            }
            stays
        });
    }

    /// Calls all trials off, because the process ends.
    pub(in crate::controller) fn stop(&self) {
        self.forget(|_| false);
    }

    fn lock(&self) -> MutexGuard<'_, TrialTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
