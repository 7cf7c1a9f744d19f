#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod rivals;

use super::*;

/// An instant so many milliseconds after a fixed one.
fn at(dawn: Instant, milliseconds: u64) -> Instant {
    dawn + Duration::from_millis(milliseconds)
}

/// An instant to begin with.
fn dawn() -> Instant {
    Instant::now()
}

fn wall(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn candidate(identity: &str) -> Candidate {
    with_caches(identity, CacheState::Warm)
}

fn with_caches(identity: &str, cache_state: CacheState) -> Candidate {
    let mut candidate = Candidate::new("lease".into(), identity.into());
    candidate.set_cache_state(cache_state);
    candidate
}

/// The API server's copy of a Lease after so many writes.
fn stored(lease: Lease, version: u64) -> Lease {
    let metadata = ObjectMeta {
        uid: Some("1".into()),
        resource_version: Some(version.to_string()),
        ..lease.metadata
    };
    Lease { metadata, ..lease }
}

fn spec(lease: &Lease) -> &LeaseSpec {
    lease.spec.as_ref().unwrap()
}

/// The Lease that a candidate which meets none creates.
fn created_by(identity: &str, dawn: Instant) -> Lease {
    let LeaseAction::Create(lease) = candidate(identity).saw(None, dawn, dawn, wall(1)) else {
        panic!("nothing is created")
    };
    stored(lease, 1)
}

#[test]
fn the_first_one_creates_the_lease_and_renews_it_as_its_own() {
    let dawn = Instant::now();
    let mut first = candidate("a");
    let LeaseAction::Create(lease) = first.saw(None, dawn, dawn, wall(1)) else {
        panic!("nothing is created")
    };
    assert_eq!(lease.metadata.name.as_deref(), Some("lease"));
    assert_eq!(
        lease.metadata.labels, None,
        "by their labels old Leases of executors are found and deleted"
    );
    let LeaseSpec {
        holder_identity,
        lease_duration_seconds,
        acquire_time,
        renew_time,
        lease_transitions,
        ..
    } = spec(&lease).clone();
    assert_eq!(
        (holder_identity.as_deref(), lease_duration_seconds, lease_transitions),
        (Some("a"), Some(10), Some(0))
    );
    assert_eq!((acquire_time, renew_time), (Some(MicroTime(wall(1))), Some(MicroTime(wall(1)))));
    assert!(!first.leads(dawn), "nobody acknowledged it yet");

    first.acknowledged(dawn);
    assert!(first.leads(at(dawn, 5999)) && !first.leads(at(dawn, 6000)));
    assert_eq!(first.next_look(at(dawn, 100)), at(dawn, 2000));

    let lease = stored(lease, 1);
    let LeaseAction::Replace(renewed) =
        first.saw(Some(&lease), at(dawn, 2000), at(dawn, 2000), wall(3))
    else {
        panic!("not renewed")
    };
    assert_eq!(
        renewed.metadata, lease.metadata,
        "the version that it was read at is its precondition"
    );
    assert_eq!(
        *spec(&renewed),
        LeaseSpec { renew_time: Some(MicroTime(wall(3))), ..spec(&lease).clone() }
    );
}

#[test]
fn another_one_waits_a_term_after_the_last_renewal_that_it_saw_whatever_the_lease_says_of_time() {
    let dawn = Instant::now();
    let lease = created_by("a", dawn);
    let mut second = candidate("b");
    assert_eq!(
        second.saw(Some(&lease), at(dawn, 0), at(dawn, 100), wall(1_000_000)),
        LeaseAction::Wait
    );
    assert_eq!((second.holder(), second.next_look(at(dawn, 100))), (Some("a"), at(dawn, 2100)));
    let renewed = stored(lease, 2);
    assert_eq!(
        second.saw(Some(&renewed), at(dawn, 2100), at(dawn, 2200), wall(1_000_000)),
        LeaseAction::Wait
    );
    // Sent before the end of the term, answered long after it: what it shows may be as old as its
    // sending.
    assert_eq!(
        second.saw(Some(&renewed), at(dawn, 12_199), at(dawn, 20_000), wall(1_000_000)),
        LeaseAction::Wait
    );
    assert_eq!(
        second.next_look(at(dawn, 12_100)),
        at(dawn, 12_200),
        "the end of the term is not slept through"
    );
    let LeaseAction::Replace(taken) =
        second.saw(Some(&renewed), at(dawn, 12_200), at(dawn, 12_300), wall(7))
    else {
        panic!("not taken")
    };
    assert_eq!(
        (spec(&taken).holder_identity.as_deref(), spec(&taken).lease_transitions),
        (Some("b"), Some(1))
    );
    assert_eq!(taken.metadata, renewed.metadata);
}

#[test]
fn a_lease_that_was_made_again_is_another_one() {
    let dawn = Instant::now();
    let mut lease = created_by("a", dawn);
    let mut second = candidate("b");
    assert_eq!(second.saw(Some(&lease), dawn, dawn, wall(1)), LeaseAction::Wait);
    lease.metadata.uid = Some("2".into());
    assert_eq!(
        second.saw(Some(&lease), at(dawn, 11_000), at(dawn, 11_000), wall(1)),
        LeaseAction::Wait
    );
}

#[test]
fn a_released_lease_is_taken_at_once_and_keeps_what_others_wrote() {
    let dawn = Instant::now();
    let mut lease = created_by("a", dawn);
    lease.metadata.annotations = Some([("team".to_owned(), "payments".to_owned())].into());
    let (first, mut second) = (candidate("a"), candidate("b"));
    assert_eq!(second.released(&lease), None, "nobody gives back what another one holds");
    let free = first.released(&lease).unwrap();
    assert_eq!((spec(&free).holder_identity.as_deref(), &free.metadata), (None, &lease.metadata));
    for free in [
        free.clone(),
        Lease {
            spec: Some(LeaseSpec { holder_identity: Some(String::new()), ..LeaseSpec::default() }),
            ..free
        },
    ] {
        let LeaseAction::Replace(taken) = second.saw(Some(&free), dawn, dawn, wall(9)) else {
            panic!("not taken")
        };
        assert_eq!(
            (spec(&taken).holder_identity.as_deref(), &taken.metadata),
            (Some("b"), &lease.metadata)
        );
        assert_eq!(spec(&taken).acquire_time, Some(MicroTime(wall(9))));
    }
}

#[test]
fn who_sees_another_holder_leads_no_more_and_stands_again() {
    let dawn = Instant::now();
    let mut first = candidate("a");
    first.acknowledged(dawn);
    let taken = created_by("b", dawn);
    assert_eq!(first.saw(Some(&taken), at(dawn, 100), at(dawn, 100), wall(1)), LeaseAction::Wait);
    assert!(!first.leads(at(dawn, 100)));
    assert!(matches!(
        first.saw(Some(&taken), at(dawn, 10_100), at(dawn, 10_100), wall(1)),
        LeaseAction::Replace(_)
    ));
}

#[test]
fn who_could_not_renew_in_time_renews_what_is_still_its_own_later() {
    let dawn = Instant::now();
    let mut first = candidate("a");
    let lease = created_by("a", dawn);
    first.acknowledged(dawn);
    assert!(!first.leads(at(dawn, 60_000)), "the API server was away for a minute");
    assert!(matches!(
        first.saw(Some(&lease), at(dawn, 60_000), at(dawn, 60_000), wall(61)),
        LeaseAction::Replace(_)
    ));
    first.acknowledged(at(dawn, 60_000));
    assert!(first.leads(at(dawn, 60_001)));
}

#[test]
fn who_has_no_caches_takes_nothing_and_who_lacks_some_lets_others_go_first() {
    let dawn = Instant::now();
    let held = created_by("a", dawn);
    let free = candidate("a").released(&held).unwrap();
    let (mut cold, mut partly) =
        (with_caches("c", CacheState::Cold), with_caches("p", CacheState::Partly));
    for none in [None, Some(&free)] {
        let (mut cold, mut partly) = (cold.clone(), partly.clone());
        for candidate in [&mut cold, &mut partly] {
            assert_eq!(candidate.saw(none, dawn, at(dawn, 100), wall(1)), LeaseAction::Wait);
            assert_eq!(candidate.next_look(at(dawn, 100)), at(dawn, 2100));
            assert_eq!(
                candidate.saw(none, at(dawn, 10_099), at(dawn, 10_099), wall(1)),
                LeaseAction::Wait
            );
        }
        assert_eq!(partly.next_look(at(dawn, 10_099)), at(dawn, 10_100));
        assert_ne!(
            partly.saw(none, at(dawn, 10_100), at(dawn, 10_100), wall(1)),
            LeaseAction::Wait
        );
        assert_eq!(
            cold.saw(none, at(dawn, 3_600_000), at(dawn, 3_600_000), wall(1)),
            LeaseAction::Wait
        );
        assert_eq!(cold.next_look(at(dawn, 3_600_000)), at(dawn, 3_602_000));
        cold.set_cache_state(CacheState::Warm);
        assert_ne!(
            cold.saw(none, at(dawn, 3_600_001), at(dawn, 3_600_001), wall(1)),
            LeaseAction::Wait
        );
    }
    // One that holds it and is gone.
    for candidate in [&mut cold, &mut partly] {
        assert_eq!(candidate.saw(Some(&held), dawn, dawn, wall(1)), LeaseAction::Wait);
        assert_eq!(
            candidate.saw(Some(&held), at(dawn, 19_999), at(dawn, 19_999), wall(1)),
            LeaseAction::Wait
        );
    }
    assert!(matches!(
        partly.saw(Some(&held), at(dawn, 20_000), at(dawn, 20_000), wall(1)),
        LeaseAction::Replace(_)
    ));
    assert_eq!(
        cold.saw(Some(&held), at(dawn, 3_600_000), at(dawn, 3_600_000), wall(1)),
        LeaseAction::Wait
    );
}

#[test]
fn the_time_for_which_a_lease_is_free_counts_from_when_it_was_let_go_last() {
    let dawn = Instant::now();
    let held = created_by("a", dawn);
    let mut partly = with_caches("p", CacheState::Partly);
    assert_eq!(partly.saw(None, dawn, dawn, wall(1)), LeaseAction::Wait);
    assert_eq!(partly.saw(Some(&held), at(dawn, 5000), at(dawn, 5000), wall(1)), LeaseAction::Wait);
    assert_eq!(partly.saw(None, at(dawn, 10_000), at(dawn, 10_000), wall(1)), LeaseAction::Wait);
    assert!(matches!(
        partly.saw(None, at(dawn, 20_000), at(dawn, 20_000), wall(1)),
        LeaseAction::Create(_)
    ));
}

#[test]
fn who_leads_goes_on_whatever_its_caches() {
    let dawn = Instant::now();
    let lease = created_by("a", dawn);
    assert!(matches!(
        with_caches("a", CacheState::Cold).saw(Some(&lease), dawn, dawn, wall(1)),
        LeaseAction::Replace(_)
    ));
}

#[test]
fn those_that_work_elsewhere_have_another_lease() {
    let name = |names: &[&str]| lease_name(&names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(name(&[]), "saga-operator-leader");
    assert_eq!(name(&["shop", "billing"]), name(&["billing", "shop"]));
    let names = [name(&[]), name(&["shop"]), name(&["shop", "billing"]), name(&["shopbilling"])];
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert!(
        names.iter().all(|name| name.starts_with("saga-operator-leader")
            && crate::api::names::is_dns_label(name))
    );
}

#[test]
fn who_finds_its_own_name_again_was_not_followed_by_anybody() {
    let dawn = Instant::now();
    let lease = created_by("a", dawn);
    let mut first = candidate("a");
    assert!(
        matches!(first.saw(None, dawn, dawn, wall(1)), LeaseAction::Create(_))
            && first.was_followed(),
        "it does not know who led before"
    );
    first.acknowledged(dawn);
    // Long after its time was over.
    let late = at(dawn, 60_000);
    assert!(
        matches!(first.saw(Some(&lease), late, late, wall(60)), LeaseAction::Replace(_))
            && !first.was_followed()
    );
    let mut second = candidate("b");
    second.saw(Some(&lease), late, late, wall(60));
    let LeaseAction::Replace(taken) =
        second.saw(Some(&lease), at(late, 10_000), at(late, 10_000), wall(70))
    else {
        panic!("not taken")
    };
    assert_eq!(
        first.saw(Some(&stored(taken, 2)), at(late, 11_000), at(late, 11_000), wall(71)),
        LeaseAction::Wait
    );
    assert!(first.was_followed() && !first.was_followed());
}
