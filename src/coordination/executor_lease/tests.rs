//! Named examples of both sides, then every order of everything that can happen to them within a
//! horizon.

use std::collections::HashSet;

use super::*;

/// An instant so many milliseconds after a fixed one.
fn at(dawn: Instant, milliseconds: u64) -> Instant {
    dawn + Duration::from_millis(milliseconds)
}

fn held(version: &str) -> LeaseState {
    LeaseState::Held(version.into())
}

#[test]
fn a_tenure_holds_for_less_than_four_seconds_after_its_renewal_was_sent() {
    let dawn = Instant::now();
    let mut tenure = Tenure::new(dawn);
    assert!(tenure.holds(at(dawn, 3999)));
    tenure.acknowledged(at(dawn, 2000), at(dawn, 3999));
    assert!(tenure.holds(at(dawn, 5999)), "the renewal counts from when it was sent");
    assert!(!tenure.holds(at(dawn, 6000)));
}

#[test]
fn an_answer_that_comes_after_the_lapse_revives_nothing() {
    let dawn = Instant::now();
    let mut tenure = Tenure::new(dawn);
    // Nobody looked meanwhile: the process was frozen.
    tenure.acknowledged(at(dawn, 2000), at(dawn, 4000));
    assert!(!tenure.holds(at(dawn, 4001)));
    tenure.acknowledged(at(dawn, 4001), at(dawn, 4002));
    assert!(!tenure.holds(at(dawn, 4003)));
}

#[test]
fn a_refused_renewal_ends_a_tenure_at_once() {
    let dawn = Instant::now();
    let mut tenure = Tenure::new(dawn);
    tenure.end();
    assert!(!tenure.holds(dawn));
}

#[test]
fn an_older_answer_that_comes_later_does_not_shorten_a_tenure() {
    let dawn = Instant::now();
    let mut tenure = Tenure::new(dawn);
    tenure.acknowledged(at(dawn, 2000), at(dawn, 2100));
    tenure.acknowledged(at(dawn, 1000), at(dawn, 2200));
    assert!(tenure.holds(at(dawn, 5999)));
}

#[test]
fn an_executor_is_gone_when_a_read_sent_a_term_after_the_first_sighting_shows_no_renewal() {
    let dawn = Instant::now();
    let mut lease_watch = LeaseWatch::default();
    lease_watch.saw(held("1"), at(dawn, 0), at(dawn, 100));
    assert_eq!(lease_watch.next_look(at(dawn, 0), at(dawn, 100)), EVERY);
    // Sent before the end of the term, answered long after it: what it shows may be as old as its
    // sending.
    lease_watch.saw(held("1"), at(dawn, 6099), at(dawn, 9000));
    assert!(!lease_watch.is_gone());
    assert_eq!(lease_watch.next_look(at(dawn, 6099), at(dawn, 9000)), Duration::ZERO);
    lease_watch.saw(held("1"), at(dawn, 6100), at(dawn, 9000));
    assert!(lease_watch.is_gone());
}

#[test]
fn a_renewal_begins_the_term_anew() {
    let dawn = Instant::now();
    let mut lease_watch = LeaseWatch::default();
    lease_watch.saw(held("1"), at(dawn, 0), at(dawn, 0));
    lease_watch.saw(held("2"), at(dawn, 5900), at(dawn, 6500));
    lease_watch.saw(held("2"), at(dawn, 12_000), at(dawn, 12_000));
    assert!(!lease_watch.is_gone());
    assert_eq!(
        lease_watch.next_look(at(dawn, 12_000), at(dawn, 12_000)),
        Duration::from_millis(500),
        "as soon as the term is over"
    );
    lease_watch.saw(held("2"), at(dawn, 12_500), at(dawn, 12_500));
    assert!(lease_watch.is_gone());
}

#[test]
fn a_read_that_failed_after_the_end_of_the_term_is_not_repeated_at_once() {
    let dawn = Instant::now();
    let mut lease_watch = LeaseWatch::default();
    assert_eq!(lease_watch.next_look(at(dawn, 0), at(dawn, 100)), EVERY);
    lease_watch.saw(held("1"), at(dawn, 0), at(dawn, 0));
    for asked in [6000, 7000, 3_600_000] {
        assert_eq!(lease_watch.next_look(at(dawn, asked), at(dawn, asked + 100)), EVERY);
    }
}

#[test]
fn an_absent_lease_must_stay_absent_for_the_whole_term() {
    let dawn = Instant::now();
    let mut lease_watch = LeaseWatch::default();
    lease_watch.saw(held("1"), at(dawn, 0), at(dawn, 0));
    lease_watch.saw(LeaseState::Absent, at(dawn, 5900), at(dawn, 5900));
    lease_watch.saw(LeaseState::Absent, at(dawn, 11_800), at(dawn, 11_800));
    assert!(
        !lease_watch.is_gone(),
        "its executor still sends for up to four seconds after somebody deleted it"
    );
    lease_watch.saw(LeaseState::Absent, at(dawn, 11_900), at(dawn, 11_900));
    assert!(lease_watch.is_gone());
}

#[test]
fn a_released_lease_needs_no_term() {
    let dawn = Instant::now();
    let mut lease_watch = LeaseWatch::default();
    lease_watch.saw(LeaseState::Released, dawn, dawn);
    assert!(lease_watch.is_gone());
    lease_watch.saw(held("2"), dawn, dawn);
    assert!(lease_watch.is_gone(), "an id is never used again");
}

#[test]
fn a_request_is_over_when_its_time_and_half_a_minute_have_passed_since_its_intent_was_first_read() {
    let dawn = Instant::now();
    let left = |milliseconds| may_last(dawn, Duration::from_secs(5), at(dawn, milliseconds));
    assert_eq!(left(0), Duration::from_secs(35));
    assert_eq!(left(34_999), Duration::from_millis(1));
    assert_eq!(left(35_000), Duration::ZERO);
    assert_eq!(
        may_last(dawn, Duration::MAX, at(dawn, 1)),
        Duration::MAX.saturating_sub(Duration::from_millis(1))
    );
}

/// Seconds that are explored: a term begins with any renewal of the first tenures, and some are
/// left when it has ended.
const HORIZON: u64 = 10;

/// What the API server holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stored {
    /// By the second at which the write was sent.
    Held(u64),
    Released,
    Deleted,
}

/// A write on its way to the API server, or its answer on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Renewal {
    None,
    Sent { at: u64 },
    Done { at: u64 },
    Refused,
}

/// A read on its way, or its answer on the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Read {
    None,
    Sent { at: u64 },
    Done { at: u64, showed: Stored },
}

/// Everything at one moment. Time is part of it. A process that is frozen, a packet that is slow or
/// lost on its way, a read that fails: nothing happens, and time goes on. Nobody but an
/// acknowledgement looks at the tenure, since a look can only end it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Moment {
    now: u64,
    stored: Stored,
    tenure: Tenure,
    /// What the executor believes to be stored.
    known: Stored,
    renewal: Renewal,
    /// The release, once the tenure ended on purpose: the last write there is.
    releasing: bool,
    lease_watch: LeaseWatch,
    read: Read,
}

/// The world of one executor and one other process.
struct Explorer {
    dawn: Instant,
}

impl Explorer {
    fn instant(&self, second: u64) -> Instant {
        at(self.dawn, second * 1000)
    }

    fn first(&self) -> Moment {
        let stored = Stored::Held(0);
        let (tenure, lease_watch) = (Tenure::new(self.dawn), LeaseWatch::default());
        Moment {
            now: 0,
            stored,
            tenure,
            known: stored,
            renewal: Renewal::None,
            releasing: false,
            lease_watch,
            read: Read::None,
        }
    }

    /// Everything that may happen next.
    fn next(&self, moment: &Moment) -> Vec<Moment> {
        let mut next = Vec::new();
        let mut may = |change: &dyn Fn(&mut Moment)| {
            let mut changed = moment.clone();
            change(&mut changed);
            next.push(changed);
        };
        let now = moment.now;
        if now < HORIZON {
            may(&|moment| moment.now += 1);
        }
        // Somebody deletes the Lease.
        may(&|moment| moment.stored = Stored::Deleted);
        self.own(moment, &mut may);
        match moment.read {
            Read::None => may(&|moment| moment.read = Read::Sent { at: now }),
            Read::Sent { at } => {
                may(&|moment| moment.read = Read::Done { at, showed: moment.stored });
            }
            Read::Done { at, showed } => may(&|moment| {
                let state = match showed {
                    Stored::Held(version) => held(&version.to_string()),
                    Stored::Released => LeaseState::Released,
                    Stored::Deleted => LeaseState::Absent,
                };
                moment.lease_watch.saw(state, self.instant(at), self.instant(now));
                moment.read = Read::None;
            }),
        }
        next
    }

    /// What may happen to the executor and its writes.
    fn own(&self, moment: &Moment, may: &mut impl FnMut(&dyn Fn(&mut Moment))) {
        let now = moment.now;
        if moment.releasing {
            may(&|moment| {
                moment.stored =
                    if moment.stored == moment.known { Stored::Released } else { moment.stored };
                moment.releasing = false;
            });
        }
        match moment.renewal {
            Renewal::None if moment.tenure.clone().holds(self.instant(now)) => {
                may(&|moment| moment.renewal = Renewal::Sent { at: now });
                may(&|moment| {
                    moment.tenure.end();
                    moment.releasing = true;
                });
            }
            Renewal::None => {}
            Renewal::Sent { at } => may(&|moment| {
                let applies = moment.stored == moment.known;
                moment.renewal = if applies { Renewal::Done { at } } else { Renewal::Refused };
                moment.stored = if applies { Stored::Held(at) } else { moment.stored };
            }),
            Renewal::Done { at } => {
                may(&|moment| {
                    moment.tenure.acknowledged(self.instant(at), self.instant(now));
                    moment.known = Stored::Held(at);
                    moment.renewal = Renewal::None;
                });
                // Lost on the way back.
                may(&|moment| moment.renewal = Renewal::None);
            }
            Renewal::Refused => may(&|moment| {
                moment.tenure.end();
                moment.renewal = Renewal::None;
            }),
        }
    }
}

#[test]
fn in_no_order_of_events_is_an_executor_called_gone_while_it_holds() {
    let explorer = Explorer { dawn: Instant::now() };
    let (mut open, mut known) = (vec![explorer.first()], HashSet::new());
    let (mut gone_by_term, mut held_late) = (0_usize, 0_usize);
    while let Some(moment) = open.pop() {
        let holds = moment.tenure.clone().holds(explorer.instant(moment.now));
        assert!(!(holds && moment.lease_watch.is_gone()), "{moment:?}");
        gone_by_term += usize::from(
            moment.lease_watch.is_gone()
                && matches!(moment.lease_watch.last, Some((LeaseState::Held(_), _))),
        );
        held_late += usize::from(holds && moment.now == HORIZON);
        // Where the tenure has lapsed and no answer is on its way, nothing is left that could make
        // it hold again.
        if !holds && !matches!(moment.renewal, Renewal::Sent { .. } | Renewal::Done { .. }) {
            continue;
        }
        open.extend(explorer.next(&moment).into_iter().filter(|next| known.insert(next.clone())));
    }
    println!("{} moments", known.len());
    assert!(gone_by_term > 0 && held_late > 0, "nothing of interest was explored");
}
