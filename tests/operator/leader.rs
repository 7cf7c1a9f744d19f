//! Tests of several replicas with leader election: one leads, and the others stand by. A standby
//! takes over when the leader dies, stops, freezes or loses the Lease.

use std::net::SocketAddr;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use saga_operator::{
    api::{Outcome, Saga, SagaPhase, StepPhase},
    coordination::election::lease_name,
};
use serde_json::json;

use crate::{
    crash::judge,
    lifecycle::checkout_in_the_middle,
    line::Line,
    shop::Kind,
    stand::{Stand, ask, outcomes, scope, step},
};

/// The log messages of a replica that becomes the leader, and of one that stops being the leader.
const LEADS: &str = "this replica is the leader";
const LEADS_NO_MORE: &str = "this replica is no longer the leader";

/// Starts a stand with a replica that leads and a ready replica that stands by. Returns the
/// addresses of their metrics.
async fn leader_and_other(name: &str) -> (Stand, [SocketAddr; 2]) {
    let mut stand = Stand::new(name).await;
    let both = start_both(&mut stand).await;
    (stand, both)
}

/// Starts both replicas on an existing stand.
async fn start_both(stand: &mut Stand) -> [SocketAddr; 2] {
    let first = stand.start_electing(false);
    stand.logs(LEADS).await;
    let second = stand.start_electing(true);
    stand.second_logs("another replica is the leader, and this one stands by").await;
    stand.second_logs("the caches are filled").await;
    [first, second]
}

/// Creates a saga and returns it when the leader waits for the answer to the charge.
async fn order(stand: &Stand) -> Saga {
    let saga = stand.apply("order", &checkout_in_the_middle()).await;
    stand.shop_has_done(&saga, "charge-card").await;
    saga
}

/// Returns the value of a metric without labels.
async fn metric(operator: SocketAddr, name: &str) -> u64 {
    let metrics = ask(operator, "/metrics").await;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_else(|| panic!("no {name} in {metrics}"));
    line.trim().parse().unwrap()
}

/// Returns whether a replica reports that it leads, and how many reconciles it has finished.
async fn leads_and_looked(operator: SocketAddr) -> (bool, u64) {
    (
        metric(operator, "saga_operator_leader ").await == 1,
        metric(operator, "saga_controller_reconcile_seconds_count ").await,
    )
}

/// Returns the API and the name of the leader Lease of this stand.
fn lease(stand: &Stand) -> (Api<Lease>, String) {
    (
        Api::namespaced(stand.client.clone(), "saga-system"),
        lease_name(&[stand.namespace.clone()].into()),
    )
}

/// Returns what the shop saw of a saga, in order.
fn ledger(stand: &Stand, saga: &Saga) -> Vec<(String, Kind)> {
    stand
        .shop
        .entries(Some(&scope(saga)))
        .into_iter()
        .map(|entry| (entry.step, entry.kind))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_leader_looks_at_sagas_and_another_one_takes_over_when_it_is_killed() {
    let (mut stand, [first, second]) = leader_and_other("leader-dies").await;
    stand.meanwhile("before").await;
    order(&stand).await;
    let (leads, looked) = leads_and_looked(first).await;
    assert!(leads && looked > 0, "it looked at {looked} sagas");
    assert_eq!(leads_and_looked(second).await, (false, 0));
    stand.kill();
    stand.second_logs(LEADS).await;
    stand.gate.open();
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    judge(&stand, &saga, false);
    assert_eq!(outcomes(&saga, "charge-card"), [Outcome::Unknown, Outcome::Succeeded]);
    let (reserve, charge, ship) =
        ("reserve-stock".to_owned(), "charge-card".to_owned(), "ship".to_owned());
    let expected = [
        (reserve, Kind::Done),
        (charge.clone(), Kind::Done),
        (charge, Kind::Repeat),
        (ship, Kind::Done),
    ];
    assert_eq!(ledger(&stand, &saga), expected);
    let (leads, looked) = leads_and_looked(second).await;
    assert!(leads && looked > 0, "it looked at {looked} sagas");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_asked_to_stop_hands_over_while_its_requests_end() {
    let (mut stand, _) = leader_and_other("leader-stops").await;
    order(&stand).await;
    stand.ask_to_stop();
    stand.logs("the leader's Lease is released").await;
    stand.second_logs(LEADS).await;
    stand.meanwhile("after").await;
    assert!(stand.lives(), "it waits for the answer");
    stand.gate.open();
    assert_eq!(stand.stopped().await, Some(0));
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    judge(&stand, &saga, false);
    assert_eq!(outcomes(&saga, "charge-card"), [Outcome::Succeeded]);
    assert!(
        ledger(&stand, &saga).iter().all(|(_, kind)| *kind == Kind::Done),
        "{:?}",
        ledger(&stand, &saga)
    );
    let (leases, name) = lease(&stand);
    assert_eq!(leases.get(&name).await.unwrap().spec.unwrap().lease_transitions, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_lease_lets_its_requests_end_begins_nothing_and_stands_again() {
    let mut stand = Stand::new("leader-loses").await;
    let operator = stand.start_electing(false);
    stand.logs(LEADS).await;
    order(&stand).await;
    let (leases, name) = lease(&stand);
    let taken = Patch::Merge(json!({"spec": {"holderIdentity": "somebody-else"}}));
    leases.patch(&name, &PatchParams::default(), &taken).await.unwrap();
    stand.logs(LEADS_NO_MORE).await;
    assert!(!leads_and_looked(operator).await.0);
    stand.gate.open();
    // One write carries an outcome and the next intent. The write here carries no intent: nothing
    // begins.
    let saga = stand.step_reaches("order", "charge-card", StepPhase::Completed).await;
    assert_eq!(
        (outcomes(&saga, "charge-card"), step(&saga, "ship").phase),
        (vec![Outcome::Succeeded], StepPhase::Pending)
    );
    // The other holder never renews the Lease.
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    judge(&stand, &saga, false);
    assert!(stand.lives() && leads_and_looked(operator).await.0);
    let log = std::fs::read_to_string(stand.log()).unwrap();
    assert_eq!(
        log.matches("requests are sent under this id from now on").count(),
        1,
        "its executor's Lease is another one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_freezes_finds_another_one_when_it_wakes_up_and_stands_by() {
    let (mut stand, [first, second]) = leader_and_other("leader-freezes").await;
    order(&stand).await;
    stand.freeze();
    stand.second_logs(LEADS).await;
    stand.gate.open();
    stand.thaw();
    stand.logs(LEADS_NO_MORE).await;
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    judge(&stand, &saga, false);
    stand.meanwhile("after").await;
    assert!(stand.lives());
    assert_eq!((leads_and_looked(first).await.0, leads_and_looked(second).await.0), (false, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_away_for_a_while_ends_no_operator_and_one_leads_again() {
    let mut stand = Stand::new("leader-alone").await;
    let line = Line::of(&mut stand).await;
    let both = start_both(&mut stand).await;
    stand.meanwhile("before").await;
    line.cut();
    stand.logs(LEADS_NO_MORE).await;
    stand.second_logs("the leader's Lease could not be read").await;
    line.restore();
    stand.meanwhile("after").await;
    assert!(stand.lives() && stand.second_lives());
    let leaders = [leads_and_looked(both[0]).await.0, leads_and_looked(both[1]).await.0];
    assert_eq!(leaders.iter().filter(|leads| **leads).count(), 1);
}
