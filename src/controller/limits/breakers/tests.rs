#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::collections::{BTreeMap, HashMap};

use ::http::Request;
use ::http::Response;
use kube::{Client, client::Body, runtime::reflector::ObjectRef};
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    super::{
        reservation::{Admission, Call},
        slots::Slot,
    },
    *,
};
use crate::{
    api::{DeletionPolicy, Direction, SagaStatus, StepStatus, StoredSaga, names::AttemptId},
    controller::{
        context::{Context, fixture},
        reconcile::plan_with_slots,
    },
    model::{
        input::Seen,
        observation::{Absence, ChildState, Observed},
        origin::origin,
        plan::{Effect, Plan, StatusWrite},
        saga::{SagaName, ValidSaga},
        skew::Skew,
    },
    validate::saga::validate_stored,
};

const OPEN: Duration = Duration::from_secs(30);

/// The built-in settings, open for so long.
const fn open_for(open: Duration) -> Settings {
    Settings { calls: 20, window: Duration::from_mins(1), unknown_percent: 50, open }
}

fn circuits(settings: Option<Settings>) -> (Circuits, Arc<Metrics>) {
    let metrics = Metrics::new("1.2.3");
    (Circuits::new(settings, Arc::clone(&metrics)), metrics)
}

fn place(namespace: &str, url: &str) -> Place {
    (namespace.into(), origin(url).unwrap())
}

fn shop() -> Place {
    place("shop", "http://stock.shop.svc/reservations")
}

/// So many calls that end in this way, as far as they are let through.
fn calls(circuits: &Circuits, place: &Place, count: usize, end: CallEnd) {
    for ticket in (0..count).filter_map(|_| circuits.admit(place, "a").ok()) {
        circuits.ended(place, ticket, end);
    }
}

fn state(circuits: &Circuits, place: &Place) -> Option<CircuitState> {
    let found = circuits
        .reports()
        .into_iter()
        .find(|report| (&report.namespace, &report.host) == (&place.0, &place.1.host));
    found.map(|report| report.state)
}

#[test]
fn each_namespace_scheme_host_and_port_has_a_circuit_of_its_own() {
    let (circuits, _) = circuits(Some(open_for(OPEN)));
    calls(&circuits, &shop(), 20, CallEnd::Unknown);
    assert!(circuits.admit(&shop(), "a").is_err());
    assert!(
        circuits.admit(&place("shop", "HTTP://STOCK.shop.svc:80/releases"), "a").is_err(),
        "the same one"
    );
    for (namespace, url) in [
        ("other", "http://stock.shop.svc"),
        ("shop", "https://stock.shop.svc"),
        ("shop", "http://stock.shop.svc:81"),
        ("shop", "http://mail.shop.svc"),
    ] {
        assert!(circuits.admit(&place(namespace, url), "a").is_ok(), "{namespace} {url}");
    }
}

#[test]
fn an_open_circuit_says_until_when_and_says_the_same_at_every_look() {
    let (circuits, metrics) = circuits(Some(open_for(OPEN)));
    let before = now();
    calls(&circuits, &shop(), 20, CallEnd::Unknown);
    let gate = circuits.admit(&shop(), "a").unwrap_err();
    let until = gate.until.unwrap();
    assert!(
        gate.left == 0 && between(before, until) >= OPEN && between(before, until) < 2 * OPEN,
        "{until}"
    );
    assert_eq!(until.as_microsecond() % 1000, 0, "as messages say it");
    assert!((0..100).all(|_| circuits.admit(&shop(), "a") == Err(gate.clone())));
    let reports = circuits.reports();
    let (namespace, scheme, host) = ("shop".into(), "http".into(), "stock.shop.svc".into());
    assert_eq!(
        reports,
        [CircuitReport {
            namespace,
            scheme,
            host,
            port: 80,
            state: CircuitState::Open,
            calls: 20,
            unknown: 20,
            until: Some(until)
        }]
    );
    let text = metrics.text().unwrap();
    assert!(text.contains("saga_circuit_breaker_transitions_total{to=\"open\"} 1\n"), "{text}");
}

#[test]
fn who_waits_for_the_probe_is_told_when_it_has_ended() {
    let (circuits, metrics) = circuits(Some(open_for(Duration::ZERO)));
    calls(&circuits, &shop(), 20, CallEnd::Unknown);
    let probe = circuits.admit(&shop(), "a").unwrap();
    for saga in ["b", "c", "b"] {
        assert_eq!(circuits.admit(&shop(), saga), Err(Gate { left: 0, until: None }));
    }
    assert_eq!(state(&circuits, &shop()), Some(CircuitState::HalfOpen));
    assert_eq!(circuits.ended(&shop(), probe, CallEnd::NotSent), ["b"], "one may try instead");
    let probe = circuits.admit(&shop(), "b").unwrap();
    circuits.admit(&shop(), "d").unwrap_err();
    assert_eq!(circuits.ended(&shop(), probe, CallEnd::Answered), ["c", "d"]);
    assert_eq!(state(&circuits, &shop()), Some(CircuitState::Closed));
    let text = metrics.text().unwrap();
    // It was open for no time at all.
    for to in ["half-open", "closed"] {
        assert!(
            text.contains(&format!("saga_circuit_breaker_transitions_total{{to=\"{to}\"}} 1\n")),
            "{to}: {text}"
        );
    }
}

#[test]
fn nothing_is_kept_of_a_host_that_nobody_reached_or_nobody_calls_any_more() {
    let (kept, _) = circuits(Some(open_for(OPEN)));
    calls(&kept, &shop(), 100, CallEnd::NotSent);
    assert!(kept.lock().0.circuits.is_empty());
    calls(&kept, &shop(), 1, CallEnd::Answered);
    kept.forget();
    assert_eq!(kept.reports().len(), 1, "within its window");
    let short = Settings { window: Duration::from_nanos(1), ..open_for(OPEN) };
    let (forgotten, _) = circuits(Some(short));
    calls(&forgotten, &shop(), 1, CallEnd::Answered);
    forgotten.forget();
    assert!(forgotten.lock().0.circuits.is_empty());
}

#[test]
fn a_namespace_that_names_hosts_without_end_takes_no_place_of_another() {
    let (circuits, _) = circuits(Some(open_for(OPEN)));
    let host = |nth: usize| format!("http://host-{nth}.example");
    for nth in 0..2 * MOST {
        calls(&circuits, &place("hostile", &host(nth)), 1, CallEnd::Unknown);
    }
    assert_eq!(circuits.reports().len(), MOST_OF_ONE);
    let untracked = place("hostile", &host(2 * MOST));
    calls(&circuits, &untracked, 100, CallEnd::Unknown);
    assert!(circuits.admit(&untracked, "a").is_ok(), "as if it were closed");
    calls(&circuits, &shop(), 20, CallEnd::Unknown);
    assert!(circuits.admit(&shop(), "a").is_err());
    for nth in 0..2 * MOST {
        calls(&circuits, &place(&format!("other-{}", nth % 20), &host(nth)), 1, CallEnd::Unknown);
    }
    assert_eq!(circuits.reports().len(), MOST);
}

#[test]
fn switched_off_nothing_is_tracked() {
    let (circuits, _) = circuits(None);
    calls(&circuits, &shop(), 1000, CallEnd::Unknown);
    assert!(circuits.admit(&shop(), "a").is_ok() && circuits.reports().is_empty());
}

/// A context whose API server never answers, and what is announced in it.
fn context(settings: Settings) -> (Arc<Context>, mpsc::UnboundedReceiver<ObjectRef<StoredSaga>>) {
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
    children: &Observed,
) -> (Plan, HashMap<AttemptId, Slot>) {
    let (status, remains) = (Ok(status), SagaStatus::default());
    let seen = Seen {
        patch_alone: false,
        generation: 1,
        deleting: false,
        terminating: false,
        finalizer: true,
        parent_holds: false,
        spec_hash: "v1:1",
        deletion_policy: DeletionPolicy::Compensate,
        status: &status,
        remains: &remains,
        asked: &[],
        handled: 0,
        keys_from: &BTreeMap::new(),
        children,
        leftovers: false,
        precheck: &crate::model::input::Precheck::default(),
        executor: "me",
        skew: Skew::default(),
        room: &BTreeMap::new(),
        circuits: &BTreeMap::new(),
        versions: crate::model::versions::Versions::default(),
        draining: false,
        now: now(),
    };
    plan_with_slots(context, &Ok(saga.clone()), &seen)
}

/// What the first look at the saga would do.
fn look(context: &Arc<Context>, saga: &ValidSaga) -> (Plan, HashMap<AttemptId, Slot>) {
    look_at(context, saga, SagaStatus::default(), &Observed::new())
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
    calls(&context.circuits, &shop(), 20, CallEnd::Unknown);
    let (plan, slots) = look(&context, &saga(&["a", "b"]));
    let status = written(&plan);
    assert!(
        begun(&plan).is_empty()
            && slots.is_empty()
            && status.steps.iter().all(|step| step.action.is_none())
    );
    let until = context.circuits.reports()[0].until.unwrap();
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
    let (context, mut announced) = context(open_for(Duration::ZERO));
    calls(&context.circuits, &shop(), 20, CallEnd::Unknown);
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
    assert_eq!(announced.try_recv().unwrap().name, "order");
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
    let report = context.circuits.reports().remove(0);
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
    let children = Observed::from([(attempt("a"), ChildState::Absent(absent))]);
    let (plan, slots) = look_at(&context, &saga, status.clone(), &children);
    assert_eq!(begun(&plan), ["a", "b"]);
    end(&slots, "a", CallEnd::Unknown);
    assert_eq!(context.circuits.reports()[0].calls, 1);
    calls(&context.circuits, &shop(), 19, CallEnd::Unknown);
    let (plan, slots) = look_at(&context, &saga, status, &children);
    assert_eq!(begun(&plan), ["a"]);
    end(&slots, "a", CallEnd::Answered);
    assert_eq!(
        state(&context.circuits, &shop()),
        Some(CircuitState::Open),
        "only a probe closes it"
    );
}

#[tokio::test]
async fn a_call_that_nobody_speaks_of_was_never_sent() {
    let (context, _announced) = context(open_for(OPEN));
    let origin = shop().1;
    let mut admission = Admission::new(&context, "shop", "order");
    assert!(admission.ask(&origin, 3));
    let call: Call = admission.take(&origin, false).unwrap();
    let clone = call.clone();
    drop((call, admission));
    assert!(context.circuits.reports().is_empty());
    clone.ended(CallEnd::Answered);
    assert_eq!(context.circuits.reports()[0].calls, 1);
}
