//! HTTP requests under way. Each runs in its own task, so that no reconcile waits for an answer.
//!
//! # Guarantees
//! - An attempt has at most one HTTP request under way in this process.
//! - An HTTP request leaves only while the tenure of the executor in its intent holds.
//! - An HTTP request leaves without a live read only within two seconds after the write that names
//!   it was sent. Later, it leaves only if a live read shows that its attempt is still active.
//! - The end of an HTTP request is noted here and enqueues the saga.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::FutureExt;
use tracing::Instrument;

use super::performance::Performance;
use crate::{
    api::{HttpAction, Outcome, StoredSaga},
    controller::{
        clock::now,
        cluster::{
            connection::Cluster, error::chain, impersonate::Account, namespace::is_terminating,
            sagas::may_still_begin,
        },
        http::{
            outcome::CallOutcome,
            sent::{Permit, Sent},
        },
        limits::slots::Slot,
        memory::{
            attempt::{AttemptKey, InFlight, never_sent},
            memories::Memory,
        },
        outbound::Outbound,
        queue::{Queue, SagaRef},
    },
    coordination::{breaker::CallEnd, fence::is_fresh},
    model::{
        observation::{End, Failure, Reached},
        saga::Identity,
    },
    objects::http::{self, request::HttpRequest},
    text::bounded_line,
};

/// What an HTTP request needs from its saga.
pub(in crate::controller) struct RequestContext<'a> {
    pub(in crate::controller) stored: &'a StoredSaga,
    pub(in crate::controller) account: &'a str,
    pub(in crate::controller) action: &'a HttpAction,
    pub(in crate::controller) time_limit: Duration,
    /// When the write that names the attempt was sent, or when the read that showed the attempt
    /// began.
    pub(in crate::controller) fresh_since: Instant,
    /// The executor that the intent names.
    pub(in crate::controller) executor: &'a str,
}

/// Starts the HTTP request of an attempt, unless it is under way. `slot` is released when the HTTP
/// request has ended.
pub(in crate::controller) fn begin(
    performance: &Performance<'_>,
    request_context: &RequestContext<'_>,
    identity: Identity,
    slot: Option<Slot>,
) {
    let request = http::request::request(request_context.action, &identity);
    let task = SendTask {
        cluster: Arc::clone(performance.parts.cluster),
        memory: Arc::clone(performance.parts.memory),
        outbound: Arc::clone(performance.outbound),
        queue: performance.parts.queue.clone(),
        // The spec and the status are left out, because the status may be large.
        stored: StoredSaga {
            spec: Err(String::new()),
            status: Err(String::new()),
            ..request_context.stored.clone()
        },
        account: request_context.account.to_owned(),
        request,
        time_limit: request_context.time_limit,
        fresh_since: request_context.fresh_since,
        executor: request_context.executor.to_owned(),
        sent: Sent::default(),
        slot,
        key: AttemptKey::new(&identity.uid, identity.attempt.clone()),
    };
    let span = tracing::info_span!(
        "request",
        saga = identity.saga,
        namespace = identity.namespace,
        uid = identity.uid,
        step = identity.attempt.step,
        attempt = identity.attempt.number
    );
    let key = task.key.clone();
    let call = task.slot.as_ref().and_then(Slot::call).cloned();
    let in_flight = InFlight {
        saga: SagaRef::new(&identity.namespace, &identity.saga),
        sent: task.sent.clone(),
        call,
    };
    performance.parts.memory.attempts.start(&key, in_flight, || {
        tokio::spawn(task.run(identity).instrument(span)).abort_handle()
    });
}

/// The most characters of a message in the log.
const LOGGED: usize = 400;

/// Returns the outcome and the message of an end, for the log.
fn log_fields(end: &End) -> (&'static str, String) {
    let (outcome, message) = match end {
        End::Succeeded(_) | End::Answered(_) => (Outcome::Succeeded.as_str(), ""),
        End::Failed(failure) => (Outcome::Failed.as_str(), failure.message.as_str()),
        End::Unknown { message, .. }
        | End::UnknownForGood { message }
        | End::CalledOff { message } => (Outcome::Unknown.as_str(), message.as_str()),
    };
    (outcome, bounded_line(message, LOGGED))
}

/// An HTTP request under way.
struct SendTask {
    cluster: Arc<Cluster>,
    memory: Arc<Memory>,
    outbound: Arc<Outbound>,
    queue: Queue,
    stored: StoredSaga,
    account: String,
    request: HttpRequest,
    time_limit: Duration,
    fresh_since: Instant,
    executor: String,
    sent: Sent,
    slot: Option<Slot>,
    key: AttemptKey,
}

impl SendTask {
    async fn run(mut self, identity: Identity) {
        let slot = self.slot.take();
        let called = AssertUnwindSafe(self.call(&identity)).catch_unwind().await;
        let outcome = called.unwrap_or_else(|_| {
            let message = "the call panicked".into();
            Some(CallOutcome::Ended(End::Unknown { message, retry_after: None }))
        });
        match outcome {
            // The attempt is not active any more, so there is nothing to note.
            None => self.memory.attempts.finish(&self.key),
            Some(CallOutcome::Refused { message, retry_in: _ }) => {
                self.memory.attempts.refused(&self.key, message);
                self.memory.attempts.finish(&self.key);
            }
            Some(CallOutcome::Ended(end)) => {
                if let Some(call) = slot.as_ref().and_then(Slot::call) {
                    call.ended(CallEnd::of(&end, self.sent.progress()));
                }
                let (outcome, message) = log_fields(&end);
                tracing::info!(outcome, message, "the request ended");
                self.memory.attempts.ended(&self.key, end);
            }
        }
        // The slot is released before the saga is enqueued: the saga's next HTTP request may go to
        // the same host.
        drop(slot);
        self.queue.enqueue(&SagaRef::new(&identity.namespace, &identity.saga));
    }

    /// Sends the HTTP request and returns its end; `None` if the attempt is not active any more.
    async fn call(&self, identity: &Identity) -> Option<CallOutcome> {
        let account = Account { namespace: &identity.namespace, name: &self.account };
        let unwanted = Arc::new(AtomicBool::new(false));
        let permit = self.permit(Arc::clone(&unwanted));
        let outcome = self
            .outbound
            .caller
            .call(&self.request, account, self.time_limit, now(), &self.sent, permit)
            .await;
        if !self.sent.may_have_left() && !self.outbound.own.holds(&self.executor) {
            return Some(CallOutcome::Ended(never_sent()));
        }
        if unwanted.load(Ordering::Acquire) {
            return None;
        }
        Some(match outcome {
            CallOutcome::Ended(end) => CallOutcome::Ended(self.at_last(identity, end).await),
            refused @ CallOutcome::Refused { .. } => refused,
        })
    }

    /// Returns the same end, made permanent if all of this holds: nothing was sent, the saga is
    /// being deleted, the HTTP request needs something in the saga's namespace, and the namespace
    /// is terminating.
    async fn at_last(&self, identity: &Identity, end: End) -> End {
        let End::Failed(failure @ Failure { reached: Reached::Nothing, permanent: false, .. }) =
            end
        else {
            return end;
        };
        let namespace = identity.namespace.as_str();
        // If a namespace is terminating, its sagas are deleted first.
        let deleted = self.stored.metadata.deletion_timestamp.is_some();
        let goes = deleted
            && http::request::needs_namespace(&self.request, namespace)
            && is_terminating(&self.cluster, namespace).await.unwrap_or_else(|error| {
                tracing::warn!(
                    error = chain(&error),
                    "it is unknown whether the namespace of a request is being deleted"
                );
                false
            });
        let message = if goes {
            format!("{}; and its namespace is being deleted", failure.message)
        } else {
            failure.message
        };
        End::Failed(Failure { permanent: goes, message, ..failure })
    }

    /// Returns the permit, which decides whether the HTTP request may leave. It may leave only
    /// while the tenure of the executor in the intent holds. More than two seconds after the write
    /// that names the HTTP request, a live read must also show that the attempt is still active; if
    /// it does not, `unwanted` is set.
    fn permit(&self, unwanted: Arc<AtomicBool>) -> Permit {
        let (cluster, outbound) = (Arc::clone(&self.cluster), Arc::clone(&self.outbound));
        let stored = Arc::new(self.stored.clone());
        let (attempt, fresh_since, executor) =
            (self.key.attempt.clone(), self.fresh_since, self.executor.clone());
        Arc::new(move || {
            let (cluster, outbound) = (Arc::clone(&cluster), Arc::clone(&outbound));
            let (stored, unwanted) = (Arc::clone(&stored), Arc::clone(&unwanted));
            let (attempt, executor) = (attempt.clone(), executor.clone());
            async move {
                if is_fresh(Some(fresh_since.elapsed())) {
                    return outbound.own.may_send(&executor);
                }
                let wanted = may_still_begin(&cluster, &stored, &attempt, None)
                    .await
                    .unwrap_or_else(|error| {
                        tracing::warn!(
                            error = chain(&error),
                            "the request is not sent, because it is unknown whether the saga still \
                             wants it"
                        );
                        false
                    });
                unwanted.store(!wanted, Ordering::Release);
                wanted && outbound.own.may_send(&executor)
            }
            .boxed()
        })
    }
}
