//! Two versions at work: this operator and a later one (`src/api/next.rs`), this definition and a
//! later one, in every order.
//!
//! The definition is one for all tests: those that change it take turns, and only ever add to it.

use std::{
    collections::BTreeMap,
    io::Write,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use kube::{Api, ResourceExt, api::DynamicObject};
use saga_operator::api::{Saga, SagaPhase, StepPhase, StoredSaga};
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{sleep, timeout},
};

use crate::{
    shop::Kind,
    stand::{
        NEXT_IS_BUILT, PATIENCE, Stand, ask, checkout, checkout_with, condition, message,
        next_operator, post, post_by_gate, scope, setting,
    },
};

/// How many sagas two versions work on.
const SAGAS: usize = 50;
/// How long nothing may be written where nothing is to be written: the time it would take to do
/// wrong.
const QUIET: Duration = Duration::from_mins(1);
/// The most writes of a saga in a minute in which nothing happens: each version says it in its own
/// words once, and again after a minute.
const REWORDED: usize = 4;

/// The field manager under which the tests apply a definition.
const MANAGER_OF_TESTS: &str = "tests";

/// Which definition is served; nobody else changes it meanwhile. In the end it is this version's.
struct Served(#[expect(dead_code, reason = "held until it is dropped")] MutexGuard<'static, ()>);

impl Served {
    async fn by_this_version() -> Self {
        static TURN: Mutex<()> = Mutex::const_new(());
        let served = Self(TURN.lock().await);
        apply(&definition(Path::new(env!("CARGO_BIN_EXE_saga-operator"))));
        served
    }

    /// Has the later version's definition served.
    fn advance() {
        apply(&definition(&next_operator()));
    }

    /// Has this version's definition served again.
    fn go_back() {
        apply(&definition(Path::new(env!("CARGO_BIN_EXE_saga-operator"))));
    }

    /// Has this version's definition served with a field, and a word, more in the spec.
    fn with_more_in_the_spec() {
        let mut definition: Value =
            serde_saphyr::from_str(&definition(Path::new(env!("CARGO_BIN_EXE_saga-operator"))))
                .unwrap();
        let spec = definition
            .pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties")
            .unwrap();
        spec["note"] = json!({"type": "string", "maxLength": 64});
        spec["onFailure"]["enum"].as_array_mut().unwrap().push(json!("Shout"));
        apply(&definition.to_string());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        Self::go_back();
        disown();
    }
}

/// Leaves the fields of the definition to who installs it: as fields of the tests' own they would
/// be in the way of the next installation.
fn disown() {
    let kubectl = |arguments: &[&str]| {
        let output = Command::new("kubectl")
            .args(["--kubeconfig", &setting("SAGA_TEST_KUBECONFIG")])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let definition = ["crd", "sagas.saga.dev"];
    let read = kubectl(
        &[&["get"], &definition[..], &["--output", "json", "--show-managed-fields"]].concat(),
    );
    let read: Value = serde_json::from_slice(&read).unwrap();
    let managers = read["metadata"]["managedFields"].as_array().unwrap();
    let Some(place) = managers.iter().position(|manager| manager["manager"] == MANAGER_OF_TESTS)
    else {
        return;
    };
    let patch = json!([
        {
            "op": "test", "path": format!("/metadata/managedFields/{place}/manager"),
            "value": MANAGER_OF_TESTS,
        },
        {"op": "remove", "path": format!("/metadata/managedFields/{place}")},
    ]);
    kubectl(
        &[&["patch"], &definition[..], &["--type", "json", "--patch", &patch.to_string()]].concat(),
    );
}

/// The definition that an operator prints.
fn definition(operator: &Path) -> String {
    let output = Command::new(operator).arg("crd").output().expect(NEXT_IS_BUILT);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Applies a text as the administrator.
fn apply(text: &str) {
    let mut kubectl = Command::new("kubectl");
    kubectl.args([
        "--kubeconfig",
        &setting("SAGA_TEST_KUBECONFIG"),
        "apply",
        "--server-side",
        "--force-conflicts",
    ]);
    kubectl
        .args(["--field-manager", MANAGER_OF_TESTS, "--filename", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut child = kubectl.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// The saga as it is stored, whatever of it this version knows.
async fn raw(stand: &Stand, name: &str) -> Value {
    let sagas: Api<DynamicObject> =
        stand.api_of(&json!({"apiVersion": "saga.dev/v1alpha1", "kind": "Saga"}));
    serde_json::to_value(sagas.get(name).await.unwrap()).unwrap()
}

/// Waits until a stored saga is as wanted.
async fn stored(stand: &Stand, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let reached = async {
        loop {
            let saga = raw(stand, name).await;
            if wanted(&saga) {
                return saga;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{name} is not {what}"))
}

fn noted(saga: &Value) -> Option<&str> {
    saga.pointer("/status/noted").and_then(Value::as_str)
}

/// A counter of an operator.
async fn counted(operator: SocketAddr, series: &str) -> usize {
    let text = ask(operator, "/metrics").await;
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0, |number| number.trim().parse().unwrap())
}

async fn writes(operators: &[SocketAddr]) -> usize {
    let mut sum = 0;
    for operator in operators {
        sum += counted(*operator, "saga_status_writes_total{result=\"ok\"}").await;
    }
    sum
}

/// A kind of saga: the phase that it comes to by itself, how, and what brings it to its end from
/// there.
struct Act {
    name: &'static str,
    spec: Value,
    asks: &'static [&'static str],
    stands: SagaPhase,
    ends: (&'static [&'static str], SagaPhase),
}

fn acts() -> Vec<Act> {
    use SagaPhase as P;

    let never = json!({"method": "POST", "url": "http://127.0.0.1:1/"});
    let far = json!({"maxAttempts": 9, "backoff": {"initialDelay": "1h", "maxDelay": "1h"}});
    let one = json!({
        "name": "charge-card", "http": post("/payments/charges"),
        "compensation": {"http": post("/payments/refunds")},
    });
    let undone_by = |http: &Value, retry: &Value| {
        json!({
            "name": "charge-card", "http": post("/payments/charges"),
            "compensation": {"http": http, "retry": retry},
        })
    };
    let gives_up =
        json!({"name": "sign-off", "dependsOn": ["charge-card"], "approval": {}, "timeout": "1s"});
    let waits = json!({"name": "sign-off", "dependsOn": ["charge-card"], "approval": {}});
    let act = |name, spec, asks, stands, ends| Act { name, spec, asks, stands, ends };
    vec![
        act("completed", checkout(), &[], P::Completed, (&[], P::Completed)),
        act(
            "approval",
            json!({"steps": [one, waits]}),
            &[],
            P::Running,
            (&["saga.dev/approve=sign-off"], P::Completed),
        ),
        act(
            "failed",
            json!({"steps": [one, gives_up]}),
            &[],
            P::Failed,
            (&["saga.dev/skip=sign-off"], P::Completed),
        ),
        act(
            "undone",
            json!({"onFailure": "Compensate", "steps": [one, gives_up]}),
            &[],
            P::Compensated,
            (&[], P::Compensated),
        ),
        act(
            "held",
            json!({"steps": [one, gives_up]}),
            &[],
            P::Failed,
            (&["saga.dev/compensate=enough"], P::Compensated),
        ),
        act(
            "paused",
            json!({"steps": [one, waits]}),
            &["saga.dev/pause=later"],
            P::Paused,
            (&["saga.dev/cancel=enough"], P::Cancelled),
        ),
        act(
            "cancelled",
            json!({"steps": [one, waits]}),
            &["saga.dev/cancel=enough"],
            P::Cancelled,
            (&[], P::Cancelled),
        ),
        act(
            "retrying",
            json!({
                "steps": [
                    one,
                    {"name": "send", "dependsOn": ["charge-card"], "http": never, "retry": far},
                ],
            }),
            &[],
            P::Running,
            (&["saga.dev/skip=send"], P::Completed),
        ),
        act(
            "compensating",
            json!({"onFailure": "Compensate", "steps": [undone_by(&never, &far), gives_up]}),
            &[],
            P::Compensating,
            (&["saga.dev/cancel=enough"], P::Cancelled),
        ),
        act(
            "not-undone",
            json!({
                "onFailure": "Compensate",
                "steps": [undone_by(&never, &json!({"maxAttempts": 1})), gives_up],
            }),
            &[],
            P::CompensationFailed,
            (&["saga.dev/skip=charge-card"], P::Compensated),
        ),
        act(
            "calling",
            json!({
                "steps": [{
                    "name": "charge-card", "timeout": "5m", "retry": {"maxAttempts": 9},
                    "http": post_by_gate("/payments/charges"),
                }],
            }),
            &[],
            P::Running,
            (&[], P::Completed),
        ),
        act(
            "suspended",
            checkout_with(&json!({"suspend": true})),
            &[],
            P::Paused,
            (&["saga.dev/cancel=enough"], P::Cancelled),
        ),
    ]
}

/// Whether it waits where its act leaves it, and not on the way there.
fn stands(act: &Act, saga: &Saga) -> bool {
    let Some(status) = &saga.status else { return false };
    let steps = |wanted: &[StepPhase]| status.steps.iter().any(|step| wanted.contains(&step.phase));
    let there = match act.name {
        "approval" | "paused" => steps(&[StepPhase::Waiting]),
        "retrying" => steps(&[StepPhase::Retrying]),
        "compensating" => steps(&[StepPhase::Compensating]),
        _ => true,
    };
    there && status.phase == Some(act.stands)
}

/// Brings sagas to their ends.
async fn end(stand: &Stand, names: &[&(String, &Act)]) {
    for (name, act) in names {
        act.ends.0.iter().for_each(|request| stand.ask(name, request));
    }
    for (name, act) in names {
        stand.reaches(name, act.ends.1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_sagas_in_every_phase_go_on_whichever_version_works() {
    let _served = Served::by_this_version().await;
    let mut stand = Stand::new("versions").await;
    let this = stand.start_measured();
    let acts = acts();
    let names: Vec<_> = (0..SAGAS)
        .map(|nth| (format!("{}-{nth}", acts[nth % acts.len()].name), &acts[nth % acts.len()]))
        .collect();
    for (name, act) in &names {
        stand.apply(name, &act.spec).await;
    }
    for (name, act) in names.iter().filter(|(_, act)| !act.asks.is_empty()) {
        stand.step_reaches(name, "sign-off", StepPhase::Waiting).await;
        act.asks.iter().for_each(|request| stand.ask(name, request));
    }
    for (name, act) in &names {
        stand.until(name, act.name, |saga| stands(act, saga)).await;
    }
    // The definition first, and then both at once.
    Served::advance();
    let next = stand.start_next();
    let unfinished: Vec<_> = names.iter().filter(|(_, act)| !act.stands.is_terminal()).collect();
    for (name, act) in &unfinished {
        stored(&stand, name, "noted by the later version", |saga| {
            noted(saga) == Some(act.stands.as_str())
        })
        .await;
    }
    let before = writes(&[this, next]).await;
    sleep(QUIET).await;
    let written = writes(&[this, next]).await - before;
    println!("two versions wrote {written} times to {SAGAS} sagas in {QUIET:?}");
    assert!(written <= REWORDED * SAGAS, "they write again and again: {written} writes");
    // What is under way while both work is done by one of them.
    stand.gate.open();
    for (name, _) in names.iter().filter(|(_, act)| act.name == "calling") {
        stand.reaches(name, SagaPhase::Completed).await;
    }
    // Rolled forward: the later version alone takes every other one to its end.
    stand.stop().await;
    let of = |half: usize| {
        unfinished
            .iter()
            .enumerate()
            .filter(move |(nth, _)| nth % 2 == half)
            .map(|(_, one)| *one)
            .collect::<Vec<_>>()
    };
    end(&stand, &of(0)).await;
    // Rolled back, the definition last: this version takes the others to theirs, and loses nothing
    // of what the later one wrote.
    stand.stop_second().await;
    stand.start();
    end(&stand, &of(1)).await;
    for (name, act) in &names {
        let saga = raw(&stand, name).await;
        let looked = !act.stands.is_terminal();
        assert_eq!(noted(&saga).is_some(), looked, "{name} lost what the later version wrote");
        let entries = stand.shop.entries(Some(&scope(&stand.sagas().get(name).await.unwrap())));
        assert!(
            entries
                .iter()
                .all(|entry| matches!(entry.kind, Kind::Done | Kind::Undone | Kind::Repeat)),
            "{name}: {entries:?}"
        );
    }
    Served::go_back();
    stand.meanwhile("after-all").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_before_its_definition_takes_no_new_saga_and_writes_nothing_again_and_again() {
    let _served = Served::by_this_version().await;
    let mut stand = Stand::new("first").await;
    stand.start();
    let waits = json!({"steps": [{"name": "sign-off", "approval": {}}]});
    stand.apply("accepted", &waits).await;
    stand.apply("paused", &waits).await;
    stand.reaches("accepted", SagaPhase::Running).await;
    stand.step_reaches("paused", "sign-off", StepPhase::Waiting).await;
    stand.ask("paused", "saga.dev/pause=later");
    stand.reaches("paused", SagaPhase::Paused).await;
    stand.stop().await;
    let next = stand.start_next();
    stand.apply("new", &waits).await;
    let refused = stand
        .until("new", "refused", |saga| condition(saga, "Accepted") == "False/DefinitionTooOld")
        .await;
    assert!(
        message(&refused).contains("(status.noted): apply that of version"),
        "{}",
        message(&refused)
    );
    stand.event("new", "DefinitionTooOld").await;
    // What was accepted goes on, and what the API server takes away is written once at most.
    let before = writes(&[next]).await;
    sleep(QUIET / 4).await;
    let written = writes(&[next]).await - before;
    assert!(written <= 2, "what is taken away is written again and again: {written} writes");
    stand.ask("accepted", "saga.dev/approve=sign-off");
    stand.reaches("accepted", SagaPhase::Completed).await;
    assert_eq!(noted(&raw(&stand, "accepted").await), None);
    Served::advance();
    stored(&stand, "new", "accepted", |saga| noted(saga) == Some("Running")).await;
    stand.ask("new", "saga.dev/approve=sign-off");
    stand.reaches("new", SagaPhase::Completed).await;
    assert_eq!(
        stand.reaches("paused", SagaPhase::Paused).await.status.unwrap().accepted_by.as_deref(),
        Some(env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_of_a_later_version_leaves_the_saga_as_it_is() {
    let _served = Served::by_this_version().await;
    Served::advance();
    let mut stand = Stand::new("words").await;
    stand.start_next();
    let waits = json!({"steps": [{"name": "sign-off", "approval": {}}]});
    for name in ["strange", "neighbour"] {
        stand.apply(name, &waits).await;
        stand.step_reaches(name, "sign-off", StepPhase::Waiting).await;
    }
    stand.ask("strange", "saga.dev/pause=noted");
    let word = |saga: &Value| {
        saga.pointer("/status/requests/0/result").and_then(Value::as_str) == Some("Noted")
    };
    stored(&stand, "strange", "paused in another word", |saga| word(saga)).await;
    stand.stop_second().await;
    let this = stand.start_measured();
    stand.logs("words of another version").await;
    stand.event("strange", "UnknownWord").await;
    stand.ask("strange", "saga.dev/resume=now");
    let version = |saga: &Value| saga.pointer("/metadata/resourceVersion").cloned();
    let before = version(&raw(&stand, "strange").await);
    sleep(QUIET).await;
    assert_eq!(version(&raw(&stand, "strange").await), before, "something was written");
    let told = stand
        .events("strange")
        .await
        .into_iter()
        .filter(|event| event.reason.as_deref() == Some("UnknownWord"))
        .count();
    assert_eq!((told, counted(this, "saga_unknown_words_total").await), (1, 1));
    // What it can read goes on, and the later version takes the other one up where it stood.
    stand.ask("neighbour", "saga.dev/approve=sign-off");
    stand.reaches("neighbour", SagaPhase::Completed).await;
    stand.start_next();
    stored(&stand, "strange", "resumed", |saga| {
        saga.pointer("/status/phase") == Some(&json!("Running"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_of_the_spec_unknown_to_the_operator_is_refused_and_holds_what_was_accepted() {
    let _served = Served::by_this_version().await;
    Served::with_more_in_the_spec();
    let mut stand = Stand::new("fields").await;
    stand.start();
    let waits = json!({"steps": [{"name": "sign-off", "approval": {}}]});
    let with = |more: Value| {
        let mut spec = waits.clone();
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    // A free-form part may hold anything.
    stand.apply("free", &with(json!({"params": {"note": {"any": "thing"}}}))).await;
    stand.reaches("free", SagaPhase::Running).await;
    let cases = [
        ("new", json!({"note": "x"}), "spec.note is a field"),
        ("word", json!({"onFailure": "Shout"}), "spec.onFailure is Shout, a word"),
    ];
    for (name, more, said) in cases {
        let saga = json!({
            "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "metadata": {"name": name},
            "spec": with(more),
        });
        stand.put(&saga).await;
        let saga =
            stored(&stand, name, "refused", |saga| saga.to_string().contains("UnknownField")).await;
        assert!(saga["status"]["message"].as_str().unwrap().contains(said), "{saga}");
        let accepted = saga["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .find(|condition| condition["type"] == "Accepted")
            .unwrap();
        assert_eq!(
            (&accepted["status"], &accepted["reason"]),
            (&json!("False"), &json!("UnknownField"))
        );
    }
    for (name, more) in
        [("held", json!({"note": "x"})), ("given-up", json!({"onFailure": "Shout"}))]
    {
        stand
            .apply(
                name,
                &with(json!({
                    "steps": [{
                        "name": "sign-off", "approval": {},
                        "compensation": {"http": post("/payments/refunds")},
                    }],
                })),
            )
            .await;
        stand.step_reaches(name, "sign-off", StepPhase::Waiting).await;
        stand.kubectl(&[
            "patch",
            &format!("saga/{name}"),
            "--type=merge",
            "--patch",
            &json!({ "spec": more }).to_string(),
        ]);
        let saga =
            stored(&stand, name, "held", |saga| saga.to_string().contains("UnknownField")).await;
        assert_eq!(saga["status"]["phase"], "Running");
    }
    stand.kubectl(&[
        "patch",
        "saga/held",
        "--type=json",
        "--patch",
        r#"[{"op": "remove", "path": "/spec/note"}]"#,
    ]);
    stand.ask("held", "saga.dev/approve=sign-off");
    stand.reaches("held", SagaPhase::Completed).await;
    // A spec that cannot be read can be given up.
    stand.kubectl(&[
        "patch",
        "saga/given-up",
        "--type=merge",
        "--patch",
        r#"{"spec":{"deletionPolicy":"Abandon"}}"#,
    ]);
    stand.kubectl(&["delete", "saga/given-up", "saga/word"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_version_accepted_goes_on_although_this_one_would_refuse_it() {
    let mut stand = Stand::new("accepted").await;
    let early = json!({"steps": [
        {"name": "first", "when": "steps.second.phase != \
            'Failed'", "http": post("/stock/reservations")},
        {"name": "second", "dependsOn": ["first"], "http": post("/payments/charges")},
    ]});
    stand.apply("new", &early).await;
    let old = stand.apply("old", &early).await;
    // As that version left it.
    let hash = serde_json::from_value::<StoredSaga>(json!(old)).unwrap().spec_hash;
    let steps =
        json!([{"name": "first", "phase": "Pending"}, {"name": "second", "phase": "Pending"}]);
    let accepted = json!({
        "phase": "Running", "specHash": hash, "startedAt": "2026-01-01T00:00:00.000000Z",
        "steps": steps,
    });
    stand.patch_status("old", &accepted).await.unwrap();
    stand.start();
    stand.until("new", "refused", |saga| condition(saga, "Accepted") == "False/InvalidSpec").await;
    let saga = stand.reaches("old", SagaPhase::Completed).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["first", "second"]);
    let told = stand.event("old", "SpecDoubted").await;
    assert!(told.note.unwrap().contains("spec.steps[0].when: "));
    let counts: BTreeMap<_, usize> =
        stand.events("old").await.into_iter().fold(BTreeMap::new(), |mut counts, event| {
            *counts.entry(event.reason.unwrap_or_default()).or_default() += 1;
            counts
        });
    assert_eq!(counts.get("SpecDoubted"), Some(&1), "{counts:?}");
    assert_eq!(old.name_any(), "old");
}
