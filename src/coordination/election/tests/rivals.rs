//! Two candidates that meet an API server in any order.

use proptest::{collection::vec, prelude::*};

use super::*;

/// What one candidate does next; each step may come any time after the one before.
enum Stage {
    Idle,
    Asked { asked: Instant, shown: Option<Lease> },
    Decided { asked: Instant, chosen: LeaseAction },
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
            Stage::Asked { .. } | Stage::Decided { .. } | Stage::Written { .. } if lost => {
                Stage::Idle
            }
            Stage::Asked { asked, shown } => {
                Stage::Decided { asked, chosen: candidate.saw(shown.as_ref(), asked, now, wall(0)) }
            }
            Stage::Decided { chosen: LeaseAction::Wait, .. } => Stage::Idle,
            Stage::Decided { asked, chosen: LeaseAction::Create(lease) } => {
                let accepted = self.lease.is_none();
                if accepted {
                    self.version += 1;
                    self.lease = Some(stored(lease, self.version));
                }
                Stage::Written { asked, accepted }
            }
            Stage::Decided { asked, chosen: LeaseAction::Replace(lease) } => {
                let accepted = self.lease.as_ref().is_some_and(|now| {
                    now.metadata.resource_version == lease.metadata.resource_version
                });
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
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(2000)
    })]

    /// Whatever is late or lost, two never lead at once; and when all is well again, one leads.
    #[test]
    fn no_two_lead_at_once_and_in_the_end_one_does(
        // Long silences, and moments: two lead at once where a silence ends just in time.
        steps in vec(
            (0..2_usize, prop_oneof![0..50_u64, 0..4000_u64], prop::bool::weighted(0.1)),
            0..200,
        ),
        cache_state in prop::array::uniform2(
            prop::sample::select(vec![CacheState::Cold, CacheState::Partly, CacheState::Warm]),
        ),
    ) {
        let dawn = dawn();
        let both = [("a", cache_state[0]), ("b", cache_state[1])]
            .map(|(identity, cache_state)| (with_caches(identity, cache_state), Stage::Idle));
        let (mut rivals, mut now) = (Rivals { lease: None, version: 0, both }, dawn);
        for (who, later, lost) in steps {
            now += Duration::from_millis(later);
            rivals.step(who, now, lost);
            prop_assert!(!rivals.both.iter().all(|(candidate, _)| candidate.leads(now)));
        }
        let any = cache_state != [CacheState::Cold; 2];
        for _ in 0..120 {
            now += Duration::from_millis(500);
            (0..2).for_each(|who| rivals.step(who, now, false));
        }
        let leading = rivals.both.iter().filter(|(candidate, _)| candidate.leads(now)).count();
        prop_assert_eq!(leading, usize::from(any));
    }
}
