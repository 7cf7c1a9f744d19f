//! What an open circuit keeps back where sagas are looked at.

use std::collections::{BTreeMap, HashMap};

use ::http::Request;
use ::http::Response;
use kube::{Client, client::Body};
use serde_json::json;
use tokio::sync::mpsc;

use super::*;
use crate::{
    api::{DeletionPolicy, Direction, SagaStatus, StepStatus, StoredSaga, names::AttemptId},
    controller::{
        context::{Context, fixture},
        limits::{
            reservation::{BreakerTicket, Reservation},
            slots::Slot,
        },
        queue::SagaRef,
        reconcile::reserve::plan_with_slots,
    },
    model::{
        input::{OpenRequests, PlanInput, StoredFacts, Surroundings, ThisProcess},
        observation::{Absence, ChildState, Observations},
        plan::{Effect, Plan, StatusWrite},
        saga::{SagaName, ValidSaga},
    },
    validate::saga::validate_stored,
};

/// A context whose API server never answers, and what is announced in it.
fn context(settings: Settings) -> (Arc<Context>, mpsc::UnboundedReceiver<SagaRef>) {
    let service = tower::service_fn(|_: Request<Body>| {
        std::future::pending::<Result<Response<Body>, std::io::Error>>()
    });
    let client = Client::new(service, "default");
    fixture::context(client, Some(settings))
}

/// A saga with one request to the shop for each of these steps, side by side.
fn saga(steps: &[&str]) -> ValidSaga {
    let request = |name: &&str| {
        json!({
            "name": name, "http": {"method": "POST", "url": "http://stock.shop.svc/reservations"},
        })
    };
    let steps: Vec<_> = steps.iter().map(request).collect();
    let stored: StoredSaga =
        serde_json::from_value(json!({"metadata": {}, "spec": {"maxParallel": 9, "steps": steps}}))
            .unwrap();
    validate_stored(
        &SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() },
        &stored.spec,
    )
    .unwrap()
}

/// What one look at the saga with this status and these children would do.
fn look_at(
    context: &Arc<Context>,
    saga: &ValidSaga,
    status: SagaStatus,
    children: &Observations,
) -> (Plan, HashMap<AttemptId, Slot>) {
    let (status, salvaged) = (Ok(status), SagaStatus::default());
    let seen = PlanInput {
        stored: StoredFacts {
            generation: 1,
            deleting: false,
            finalizer: true,
            spec_hash: "v1:1",
            deletion_policy: DeletionPolicy::Compensate,
            status: &status,
            salvaged: &salvaged,
            keys_from: &BTreeMap::new(),
        },
        requests: OpenRequests { asked: &[], handled: 0, patch_alone: false },
        surroundings: Surroundings {
            children,
            leftovers: false,
            terminating: false,
            parent_holds: false,
            precheck: None,
        },
        process: ThisProcess { executor: Some("me"), ..ThisProcess::default() },
        versions: crate::model::versions::Versions::default(),
        now: now(),
    };
    plan_with_slots(
        &context.outbound,
        &context.queue,
        &context.memory.attempts,
        &Ok(saga.clone()),
        &seen,
    )
}

/// What the first look at the saga would do.
fn look(context: &Arc<Context>, saga: &ValidSaga) -> (Plan, HashMap<AttemptId, Slot>) {
    look_at(context, saga, SagaStatus::default(), &Observations::new())
}

fn begun(plan: &Plan) -> Vec<&str> {
    let effects = plan.drafted_effects().iter();
    effects
        .filter_map(|effect| {
            if let Effect::Begin { identity, .. } = effect {
                Some(identity.attempt.step.as_str())
            } else {
                None
            }
        })
        .collect()
}

fn written(plan: &Plan) -> SagaStatus {
    let Some(StatusWrite::Whole(status)) = &plan.status else { panic!("nothing is written") };
    (**status).clone()
}

fn attempt(step: &str) -> AttemptId {
    AttemptId { step: step.into(), direction: Direction::Action, number: 1 }
}

/// Ends the request of a step in this way.
fn end(slots: &HashMap<AttemptId, Slot>, step: &str, end: CallEnd) {
    slots[&attempt(step)].call().unwrap().ended(end);
}

#[tokio::test]
async fn what_an_open_circuit_keeps_back_has_no_intent_and_is_looked_at_when_it_is_half_open() {
    let (context, _announced) = context(open_for(OPEN));
    calls(&context.outbound.circuits, &shop(), 20, CallEnd::Unknown);
    let (plan, slots) = look(&context, &saga(&["a", "b"]));
    let status = written(&plan);
    assert!(
        begun(&plan).is_empty()
            && slots.is_empty()
            && status.steps.iter().all(|step| step.action.is_none())
    );
    let until = context.outbound.circuits.reports()[0].until.unwrap();
    assert_eq!(plan.wake, Some(until));
    let message = status.steps[0].message.clone().unwrap();
    assert!(
        message.starts_with(
            "CircuitOpen: too many calls to http://stock.shop.svc:80 ended \
        unknown; tried again at 2"
        ),
        "{message}"
    );
    assert_eq!(message.rsplit_once(' ').unwrap().1.parse::<Timestamp>().unwrap(), until);
}

#[tokio::test]
async fn half_open_a_look_begins_one_request_and_gives_the_probe_back_if_it_comes_to_nothing() {
    let (context, mut enqueued) = context(open_for(Duration::ZERO));
    calls(&context.outbound.circuits, &shop(), 20, CallEnd::Unknown);
    let saga = saga(&["a", "b"]);
    let (plan, slots) = look(&context, &saga);
    assert_eq!((begun(&plan), slots.len()), (vec!["a"], 1));
    assert!(
        written(&plan).steps[1]
            .message
            .as_ref()
            .unwrap()
            .starts_with("CircuitOpen: one call at a time")
    );
    let (other, none) = look(&context, &saga);
    assert!(begun(&other).is_empty() && none.is_empty());
    // The write was refused.
    drop(slots);
    assert_eq!(enqueued.try_recv().unwrap().name, "order");
    let (plan, slots) = look(&context, &saga);
    assert_eq!(begun(&plan), ["a"]);
    end(&slots, "a", CallEnd::Answered);
    let (plan, _slots) = look(&context, &saga);
    assert_eq!(begun(&plan), ["a", "b"], "closed");
}

#[tokio::test]
async fn what_requests_end_in_opens_the_circuit_and_what_was_said_first_stands() {
    let (context, _announced) = context(open_for(OPEN));
    let steps: Vec<String> = (0..9).map(|nth| format!("step-{nth}")).collect();
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    for _ in 0..3 {
        let (_, slots) = look(&context, &saga(&steps));
        for step in &steps {
            end(&slots, step, CallEnd::Unknown);
            end(&slots, step, CallEnd::Answered);
        }
    }
    let report = context.outbound.circuits.reports().remove(0);
    // The twentieth opened it; the seven after it had begun before.
    assert_eq!((report.state, report.calls, report.unknown), (CircuitState::Open, 20, 20));
}

#[tokio::test]
async fn an_attempt_that_stands_in_the_status_goes_through_an_open_circuit_and_counts() {
    let (context, _announced) = context(open_for(OPEN));
    let saga = saga(&["a", "b"]);
    let (plan, _) = look(&context, &saga);
    let mut status = written(&plan);
    status.steps[1] = StepStatus { name: "b".into(), ..StepStatus::default() };
    // Nobody knows anything of its request: an error came between the write and its beginning.
    let absent = Absence { seen: false, refused: false, known_for: Duration::ZERO };
    let children = Observations::from([(attempt("a"), ChildState::Absent(absent))]);
    let (plan, slots) = look_at(&context, &saga, status.clone(), &children);
    assert_eq!(begun(&plan), ["a", "b"]);
    end(&slots, "a", CallEnd::Unknown);
    assert_eq!(context.outbound.circuits.reports()[0].calls, 1);
    calls(&context.outbound.circuits, &shop(), 19, CallEnd::Unknown);
    let (plan, slots) = look_at(&context, &saga, status, &children);
    assert_eq!(begun(&plan), ["a"]);
    end(&slots, "a", CallEnd::Answered);
    assert_eq!(
        state(&context.outbound.circuits, &shop()),
        Some(CircuitState::Open),
        "only a probe closes it"
    );
}

#[tokio::test]
async fn a_call_that_nobody_speaks_of_was_never_sent() {
    let (context, _announced) = context(open_for(OPEN));
    let (origin, saga) = (shop().origin, SagaRef::new("shop", "order"));
    let mut reservation = Reservation::new(&context.outbound.circuits, &context.queue, &saga);
    assert!(reservation.ask(&origin, 3));
    let call: BreakerTicket = reservation.take(&origin).unwrap();
    let clone = call.clone();
    drop((call, reservation));
    assert!(context.outbound.circuits.reports().is_empty());
    clone.ended(CallEnd::Answered);
    assert_eq!(context.outbound.circuits.reports()[0].calls, 1);
}
