#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use proptest::{collection::vec, prelude::*};

use super::*;

/// An instant so many milliseconds after a fixed one.
fn at(dawn: Instant, milliseconds: u64) -> Instant {
    dawn + Duration::from_millis(milliseconds)
}

fn wall(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn candidate(identity: &str) -> Candidate {
    Candidate::new("lease".into(), identity.into())
}

/// The API server's copy of a Lease after so many writes.
fn stored(lease: Lease, version: u64) -> Lease {
    let metadata = ObjectMeta { uid: Some("1".into()), resource_version: Some(version.to_string()), ..lease.metadata };
    Lease { metadata, ..lease }
}

fn spec(lease: &Lease) -> &LeaseSpec {
    lease.spec.as_ref().unwrap()
}

/// The Lease that a candidate which meets none creates.
fn created_by(identity: &str, dawn: Instant) -> Lease {
    let Move::Create(lease) = candidate(identity).saw(None, dawn, dawn, wall(1)) else { panic!("nothing is created") };
    stored(lease, 1)
}

#[test]
fn the_first_one_creates_the_lease_and_renews_it_as_its_own() {
    let dawn = Instant::now();
    let mut first = candidate("a");
    let Move::Create(lease) = first.saw(None, dawn, dawn, wall(1)) else { panic!("nothing is created") };
    assert_eq!(lease.metadata.name.as_deref(), Some("lease"));
    assert_eq!(lease.metadata.labels, None, "by their labels old Leases of executors are found and deleted");
    let LeaseSpec { holder_identity, lease_duration_seconds, acquire_time, renew_time, lease_transitions, .. } = spec(&lease).clone();
    assert_eq!((holder_identity.as_deref(), lease_duration_seconds, lease_transitions), (Some("a"), Some(10), Some(0)));
    assert_eq!((acquire_time, renew_time), (Some(MicroTime(wall(1))), Some(MicroTime(wall(1)))));
    assert!(!first.leads(dawn), "nobody acknowledged it yet");

    first.acknowledged(dawn);
    assert!(first.leads(at(dawn, 5999)) && !first.leads(at(dawn, 6000)));
    assert_eq!(first.next_look(at(dawn, 100)), at(dawn, 2000));

    let lease = stored(lease, 1);
    let Move::Replace(renewed) = first.saw(Some(&lease), at(dawn, 2000), at(dawn, 2000), wall(3)) else { panic!("not renewed") };
    assert_eq!(renewed.metadata, lease.metadata, "the version that it was read at is its precondition");
    assert_eq!(*spec(&renewed), LeaseSpec { renew_time: Some(MicroTime(wall(3))), ..spec(&lease).clone() });
}

#[test]
fn another_one_waits_a_term_after_the_last_renewal_that_it_saw_whatever_the_lease_says_of_time() {
    let dawn = Instant::now();
    let lease = created_by("a", dawn);
    let mut second = candidate("b");
    assert_eq!(second.saw(Some(&lease), at(dawn, 0), at(dawn, 100), wall(1_000_000)), Move::Wait);
    assert_eq!((second.rival(), second.next_look(at(dawn, 100))), (Some("a"), at(dawn, 2100)));
    let renewed = stored(lease, 2);
    assert_eq!(second.saw(Some(&renewed), at(dawn, 2100), at(dawn, 2200), wall(1_000_000)), Move::Wait);
    // Sent before the end of the term, answered long after it: what it shows may be as old as its sending.
    assert_eq!(second.saw(Some(&renewed), at(dawn, 12_199), at(dawn, 20_000), wall(1_000_000)), Move::Wait);
    assert_eq!(second.next_look(at(dawn, 12_100)), at(dawn, 12_200), "the end of the term is not slept through");
    let Move::Replace(taken) = second.saw(Some(&renewed), at(dawn, 12_200), at(dawn, 12_300), wall(7)) else { panic!("not taken") };
    assert_eq!((spec(&taken).holder_identity.as_deref(), spec(&taken).lease_transitions), (Some("b"), Some(1)));
    assert_eq!(taken.metadata, renewed.metadata);
}

#[test]
fn a_lease_that_was_made_again_is_another_one() {
    let dawn = Instant::now();
    let mut lease = created_by("a", dawn);
    let mut second = candidate("b");
    assert_eq!(second.saw(Some(&lease), dawn, dawn, wall(1)), Move::Wait);
    lease.metadata.uid = Some("2".into());
    assert_eq!(second.saw(Some(&lease), at(dawn, 11_000), at(dawn, 11_000), wall(1)), Move::Wait);
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
    for free in [free.clone(), Lease { spec: Some(LeaseSpec { holder_identity: Some(String::new()), ..LeaseSpec::default() }), ..free }] {
        let Move::Replace(taken) = second.saw(Some(&free), dawn, dawn, wall(9)) else { panic!("not taken") };
        assert_eq!((spec(&taken).holder_identity.as_deref(), &taken.metadata), (Some("b"), &lease.metadata));
        assert_eq!(spec(&taken).acquire_time, Some(MicroTime(wall(9))));
    }
}

#[test]
fn who_sees_another_holder_leads_no_more_and_stands_again() {
    let dawn = Instant::now();
    let mut first = candidate("a");
    first.acknowledged(dawn);
    let taken = created_by("b", dawn);
    assert_eq!(first.saw(Some(&taken), at(dawn, 100), at(dawn, 100), wall(1)), Move::Wait);
    assert!(!first.leads(at(dawn, 100)));
    assert!(matches!(first.saw(Some(&taken), at(dawn, 10_100), at(dawn, 10_100), wall(1)), Move::Replace(_)));
}

#[test]
fn who_could_not_renew_in_time_renews_what_is_still_its_own_later() {
    let dawn = Instant::now();
    let mut first = candidate("a");
    let lease = created_by("a", dawn);
    first.acknowledged(dawn);
    assert!(!first.leads(at(dawn, 60_000)), "the API server was away for a minute");
    assert!(matches!(first.saw(Some(&lease), at(dawn, 60_000), at(dawn, 60_000), wall(61)), Move::Replace(_)));
    first.acknowledged(at(dawn, 60_000));
    assert!(first.leads(at(dawn, 60_001)));
}

#[test]
fn those_that_work_elsewhere_have_another_lease() {
    let name = |names: &[&str]| lease_name(&names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(name(&[]), "saga-operator-leader");
    assert_eq!(name(&["shop", "billing"]), name(&["billing", "shop"]));
    let names = [name(&[]), name(&["shop"]), name(&["shop", "billing"]), name(&["shopbilling"])];
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert!(names.iter().all(|name| name.starts_with("saga-operator-leader") && crate::api::names::is_dns_label(name)));
}

/// What one candidate does next; each step may come any time after the one before.
enum Stage {
    Idle,
    Asked { asked: Instant, shown: Option<Lease> },
    Decided { asked: Instant, chosen: Move },
    Written { asked: Instant, accepted: bool },
}

/// Two candidates and an API server, each of whose answers may be lost.
struct Rivals {
    lease: Option<Lease>,
    version: u64,
    both: [(Candidate, Stage); 2],
}

impl Rivals {
    fn step(&mut self, who: usize, now: Instant, lost: bool) {
        let (candidate, stage) = &mut self.both[who];
        *stage = match std::mem::replace(stage, Stage::Idle) {
            Stage::Idle => Stage::Asked { asked: now, shown: self.lease.clone() },
            Stage::Asked { .. } | Stage::Decided { .. } | Stage::Written { .. } if lost => Stage::Idle,
            Stage::Asked { asked, shown } => Stage::Decided { asked, chosen: candidate.saw(shown.as_ref(), asked, now, wall(0)) },
            Stage::Decided { chosen: Move::Wait, .. } => Stage::Idle,
            Stage::Decided { asked, chosen: Move::Create(lease) } => {
                let accepted = self.lease.is_none();
                if accepted {
                    self.version += 1;
                    self.lease = Some(stored(lease, self.version));
                }
                Stage::Written { asked, accepted }
            }
            Stage::Decided { asked, chosen: Move::Replace(lease) } => {
                let accepted = self.lease.as_ref().is_some_and(|now| now.metadata.resource_version == lease.metadata.resource_version);
                if accepted {
                    self.version += 1;
                    self.lease = Some(stored(lease, self.version));
                }
                Stage::Written { asked, accepted }
            }
            Stage::Written { asked, accepted } => {
                if accepted {
                    candidate.acknowledged(asked);
                }
                Stage::Idle
            }
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is late or lost, two never lead at once; and when all is well again, one leads.
    #[test]
    fn no_two_lead_at_once_and_in_the_end_one_does(steps in vec((0..2_usize, 0..4000_u64, prop::bool::weighted(0.1)), 0..200)) {
        let dawn = Instant::now();
        let both = ["a", "b"].map(|identity| (candidate(identity), Stage::Idle));
        let (mut rivals, mut now) = (Rivals { lease: None, version: 0, both }, dawn);
        for (who, later, lost) in steps {
            now += Duration::from_millis(later);
            rivals.step(who, now, lost);
            prop_assert!(!rivals.both.iter().all(|(candidate, _)| candidate.leads(now)));
        }
        for _ in 0..60 {
            now += Duration::from_millis(500);
            (0..2).for_each(|who| rivals.step(who, now, false));
        }
        prop_assert_eq!(rivals.both.iter().filter(|(candidate, _)| candidate.leads(now)).count(), 1);
    }
}
