#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod looks;

use super::*;
use crate::model::origin::origin;

const OPEN: Duration = Duration::from_secs(30);

/// The built-in settings, open for so long.
const fn open_for(open: Duration) -> Settings {
    Settings { calls: 20, window: Duration::from_mins(1), unknown_percent: 50, open }
}

fn circuits(settings: Option<Settings>) -> (Circuits, Arc<Metrics>) {
    let metrics = Metrics::new("1.2.3");
    (Circuits::new(settings, Arc::clone(&metrics)), metrics)
}

fn place(namespace: &str, url: &str) -> OriginKey {
    OriginKey::new(namespace, &origin(url).unwrap())
}

fn shop() -> OriginKey {
    place("shop", "http://stock.shop.svc/reservations")
}

/// So many calls that end in this way, as far as they are let through.
fn calls(circuits: &Circuits, place: &OriginKey, count: usize, end: CallEnd) {
    for ticket in (0..count).filter_map(|_| circuits.admit(place, "a").ok()) {
        circuits.ended(place, ticket, end);
    }
}

fn state(circuits: &Circuits, place: &OriginKey) -> Option<CircuitState> {
    let found = circuits
        .reports()
        .into_iter()
        .find(|report| (&report.namespace, &report.host) == (&place.namespace, &place.origin.host));
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
    let allowance = circuits.admit(&shop(), "a").unwrap_err();
    let until = allowance.until.unwrap();
    assert!(
        allowance.left == 0 && between(before, until) >= OPEN && between(before, until) < 2 * OPEN,
        "{until}"
    );
    assert_eq!(until.as_microsecond() % 1000, 0, "as messages say it");
    assert!((0..100).all(|_| circuits.admit(&shop(), "a") == Err(allowance.clone())));
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
        assert_eq!(circuits.admit(&shop(), saga), Err(BreakerAllowance { left: 0, until: None }));
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
