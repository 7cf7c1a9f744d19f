//! Tests of what the ledger enters, described as calls on a step.

use jiff::Timestamp;
use saga_operator::api::Direction;

use crate::shop::{Call, Key, Kind, Ledger, SERVICES, Service, Summary, hash};

/// A ledger. Each call returns the kind of its entry.
#[derive(Default)]
struct Book(Ledger);

impl Book {
    /// Makes a call, and returns its status and the kind of its entry.
    fn post(&mut self, path: &str, key: &str, body: &str) -> (u16, Kind) {
        let answer = self.0.work(&call(path, key, body), Timestamp::UNIX_EPOCH);
        (answer.status, self.0.entries().last().unwrap().kind)
    }

    fn charge(&mut self, k: u32) -> (u16, Kind) {
        self.post("/payments/charges", &format!("order/charge/action/{k}"), "49.90")
    }

    fn refund(&mut self, k: u32) -> (u16, Kind) {
        self.post("/payments/refunds", &format!("order/charge/compensation/{k}"), "")
    }

    fn summary(&self) -> Summary {
        self.0.summaries(Some("order")).remove("order").unwrap()
    }
}

fn call(path: &str, key: &str, body: &str) -> Call {
    let (service, direction) = SERVICES
        .iter()
        .find_map(|service| direction(service, path).map(|direction| (service, direction)))
        .unwrap();
    let key = Key::parse(key).unwrap();
    Call {
        service,
        direction,
        key,
        attempt: Some("1".into()),
        authorized: false,
        body_hash: hash(body.as_bytes()),
    }
}

fn direction(service: &Service, path: &str) -> Option<Direction> {
    match path {
        path if path == service.act => Some(Direction::Action),
        path if path == service.undo => Some(Direction::Compensation),
        _ => None,
    }
}

fn steps(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn a_key_is_executed_once_and_answered_alike_for_ever() {
    let mut book = Book::default();
    let first = book
        .0
        .work(&call("/payments/charges", "order/charge/action/0", "49.90"), Timestamp::UNIX_EPOCH);
    for _ in 0..3 {
        let again = book.0.work(
            &call("/payments/charges", "order/charge/action/0", "49.90"),
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(again, first);
        assert_eq!(book.0.entries().last().unwrap().kind, Kind::Repeat);
    }
    assert_eq!(
        book.summary(),
        Summary {
            done: steps(&["charge"]),
            in_effect: ["charge".into()].into(),
            ..Summary::default()
        }
    );
}

#[test]
fn a_key_that_comes_with_another_request_is_a_fault_and_does_nothing() {
    let mut book = Book::default();
    book.charge(0);
    assert_eq!(
        book.post("/payments/charges", "order/charge/action/0", "50.00"),
        (422, Kind::Fault)
    );
    assert_eq!(
        book.post("/stock/reservations", "order/charge/action/0", "49.90"),
        (422, Kind::Fault)
    );
    assert_eq!(
        book.post("/payments/refunds", "order/charge/action/0", ""),
        (422, Kind::Fault),
        "an action's key on the path of an undo"
    );
    let summary = book.summary();
    assert_eq!(
        (summary.done, summary.undone, summary.faults.len()),
        (steps(&["charge"]), vec![], 3)
    );
    assert_eq!(
        summary.faults[0],
        "order/charge/action/0: this key was used for another request to /payments/charges"
    );
}

#[test]
fn a_refused_call_binds_its_key_to_its_request() {
    let mut book = Book::default();
    book.0.refuse(
        &call("/payments/charges", "order/charge/action/0", "49.90"),
        "answered 503".into(),
        Timestamp::UNIX_EPOCH,
    );
    book.0.refuse(
        &call("/payments/charges", "order/charge/action/0", "50.00"),
        "answered 503".into(),
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!(
        book.0.entries().iter().map(|entry| entry.kind).collect::<Vec<_>>(),
        [Kind::Refused, Kind::Fault]
    );
    assert_eq!(book.charge(0), (201, Kind::Done), "the request itself may still come");
}

#[test]
fn an_undo_finds_all_effects_of_its_step_whatever_their_keys() {
    let mut book = Book::default();
    assert_eq!(book.charge(0), (201, Kind::Done));
    assert_eq!(book.charge(1), (201, Kind::Done));
    assert_eq!(book.summary().done_twice, ["charge".into()].into());
    assert_eq!(book.refund(0), (200, Kind::Undone));
    assert_eq!(book.0.entries().last().unwrap().note, "payments-1, payments-2");
    assert_eq!(book.refund(0), (200, Kind::Repeat));
    assert_eq!(book.refund(1), (200, Kind::NothingToUndo));
    let summary = book.summary();
    assert_eq!((summary.undone, summary.in_effect.len()), (steps(&["charge"]), 0));
    assert_eq!(
        summary.done_twice,
        ["charge".into()].into(),
        "what was in effect twice stays known"
    );
}

#[test]
fn a_call_that_is_on_its_way_when_everything_is_forgotten_is_forgotten_with_it() {
    for forgotten in [None, Some("order"), Some("another")] {
        let mut book = Book::default();
        let late = call("/payments/charges", "order/charge/action/0", "49.90");
        book.0.arrives(&late);
        assert!(book.0.awaits(&late));
        book.0.forget(forgotten);
        assert_eq!(book.0.awaits(&late), forgotten == Some("another"));
    }
}

#[test]
fn an_action_that_was_on_its_way_when_it_was_undone_has_no_effect() {
    let mut book = Book::default();
    book.0.arrives(&call("/payments/charges", "order/charge/action/0", "49.90"));
    assert_eq!(book.refund(0), (200, Kind::NothingToUndo));
    assert_eq!(book.charge(0), (409, Kind::Overtaken));
    assert_eq!(book.charge(1), (409, Kind::Fault), "nobody begins it anew");
    assert_eq!((book.summary().done, book.summary().faults.len()), (steps(&[]), 1));
}

#[test]
fn an_action_that_its_own_undo_overtook_is_turned_away() {
    let mut book = Book::default();
    assert_eq!(book.refund(0), (200, Kind::NothingToUndo));
    assert_eq!(book.charge(0), (409, Kind::Fault));
    assert_eq!(book.charge(1), (409, Kind::Fault));
    assert_eq!(book.summary().done, steps(&[]));
}

#[test]
fn an_action_repeated_after_its_undo_is_not_answered_as_if_it_were_done() {
    let mut book = Book::default();
    book.charge(0);
    book.refund(0);
    assert_eq!(book.charge(0), (409, Kind::Fault));
    assert_eq!(book.summary().faults, ["order/charge/action/0: the action came after its undo"]);
}

#[test]
fn a_service_undoes_only_its_own_effects() {
    let mut book = Book::default();
    book.charge(0);
    assert_eq!(book.post("/stock/releases", "order/charge/compensation/0", ""), (422, Kind::Fault));
    assert_eq!(book.summary().in_effect, ["charge".into()].into());
}

#[test]
fn the_summary_tells_each_scope_apart_and_in_order() {
    let mut book = Book::default();
    book.post("/stock/reservations", "order/reserve/action/0", "");
    book.post("/stock/reservations", "other/reserve/action/0", "");
    book.charge(0);
    book.refund(0);
    book.post("/stock/releases", "order/reserve/compensation/0", "");
    let summary = book.summary();
    assert_eq!(
        (summary.done, summary.undone),
        (steps(&["reserve", "charge"]), steps(&["charge", "reserve"]))
    );
    assert_eq!(book.0.summaries(None).into_keys().collect::<Vec<_>>(), ["order", "other"]);
    assert_eq!(book.0.summaries(Some("nobody"))["nobody"], Summary::default());
}

#[test]
fn a_forgotten_scope_begins_anew_and_the_others_stay() {
    let mut book = Book::default();
    book.charge(0);
    book.refund(0);
    book.post("/stock/reservations", "other/reserve/action/0", "");
    book.0.forget(Some("order"));
    assert_eq!(book.charge(0), (201, Kind::Done));
    assert_eq!(book.0.entries().iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [3, 4]);
    book.0.forget(None);
    assert!(book.0.summaries(None).is_empty());
}

#[test]
fn a_key_has_four_parts() {
    let key = Key::parse("order-1042/charge-card/compensation/7").unwrap();
    assert_eq!(
        (key.scope.as_str(), key.step.as_str(), key.direction),
        ("order-1042", "charge-card", Direction::Compensation)
    );
    let long = format!("{}/b/action/0", "a".repeat(64));
    for wrong in [
        "",
        "a",
        "a/b/action",
        "a/b/action/0/1",
        "a/b/undo/0",
        "a/b/action/-1",
        "/b/action/0",
        "a//action/0",
        "ä/b/action/0",
        &long,
    ] {
        assert!(
            Key::parse(wrong)
                .unwrap_err()
                .contains("write <scope>/<step>/<action|compensation>/<k>"),
            "{wrong}"
        );
    }
}
