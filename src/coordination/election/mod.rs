//! Which one of several operators works: a Lease that one of them holds, as verdicts on instants
//! that are handed in.
//!
//! # Guarantees
//! - At most one leads where clocks run at the same rate: who leads stops [`HOLDS_FOR`] after it
//!   *sent* its last acknowledged renewal; who does not takes the Lease over only when a read that
//!   was sent a whole [`TERM`] after it first saw the last renewal shows no other. Each uses its
//!   own monotonic clock alone: no instant that is written in the Lease is judged by.
//! - A Lease that nobody holds is taken at the next look by one whose caches are filled, so that a
//!   release hands over at once.
//! - One that cannot work does not keep those from it that can: while none of its caches is filled
//!   it takes no Lease, and while some are not, it waits a [`TERM`] longer than one with all of
//!   them.
//! - Every change of a Lease keeps what others wrote on it, and names the version that it was read
//!   at.
//!
//! # Caveats
//! Leadership saves work and keeps nothing safe: two that lead at once are correct, and cost more.
//! So it is lost early and without harm.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};

use crate::{api::names::MANAGER, digest::short_hash};

/// How long a leader leads after its last acknowledged renewal was sent.
pub const HOLDS_FOR: Duration = Duration::from_secs(6);
/// How long the others must see a Lease not renewed before one of them takes it over.
pub const TERM: Duration = Duration::from_secs(10);
/// How often the leader renews the Lease, and the longest time between two looks of the others.
pub const EVERY: Duration = Duration::from_secs(2);
/// Who leads has stopped before another one may begin.
const _: () =
    assert!(HOLDS_FOR.as_millis() < TERM.as_millis() && EVERY.as_millis() < HOLDS_FOR.as_millis());

/// The name of the Lease for operators that work in these namespaces, all where there is none.
/// Those that work elsewhere have another leader: whoever leads these does not see the sagas of
/// those.
#[must_use]
pub fn lease_name(watched: &BTreeSet<String>) -> String {
    if watched.is_empty() {
        return format!("{MANAGER}-leader");
    }
    let names: Vec<_> = watched.iter().map(String::as_str).collect();
    format!("{MANAGER}-leader-{}", short_hash(&names, 12))
}

/// How much of its caches a candidate has: without them it does not look at any saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheState {
    /// Nothing: it could do no work.
    Cold,
    /// Those of some namespaces.
    Partly,
    /// All that can be had.
    Warm,
}

impl CacheState {
    /// How long it waits for one with more than it has; `None` for ever.
    const fn deference(self) -> Option<Duration> {
        match self {
            Self::Cold => None,
            Self::Partly => Some(TERM),
            Self::Warm => Some(Duration::ZERO),
        }
    }
}

/// What a look at the Lease leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum LeaseAction {
    /// There is none: this one is created.
    Create(Lease),
    /// It is free, its holder is gone, or it is our own: it is replaced by this one.
    Replace(Lease),
    /// Somebody else holds it.
    Wait,
}

/// One who leads or would like to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    lease: String,
    identity: String,
    cache_state: CacheState,
    /// When the last acknowledged write that made or kept it the leader was sent.
    renewed: Option<Instant>,
    holder: Option<Holder>,
    /// When it was first seen that nobody holds the Lease.
    free: Option<Instant>,
    /// Whether the Lease was not ours at a look since this was last asked.
    followed: bool,
}

/// Another one that holds the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    identity: String,
    /// Differs after every write of the Lease, and so after every renewal.
    version: String,
    /// When that was first seen.
    since: Instant,
}

impl Candidate {
    /// One that does not lead yet and has no caches, for the Lease of this name. No two may have
    /// the same identity.
    #[must_use]
    pub const fn new(lease: String, identity: String) -> Self {
        Self {
            lease,
            identity,
            cache_state: CacheState::Cold,
            renewed: None,
            holder: None,
            free: None,
            followed: false,
        }
    }

    /// Notes how much of its caches it has.
    pub const fn set_cache_state(&mut self, cache_state: CacheState) {
        self.cache_state = cache_state;
    }

    /// The name of the Lease.
    #[must_use]
    pub fn lease(&self) -> &str {
        &self.lease
    }

    /// Its own name in the Lease.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The other one that held the Lease when it was last looked at.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        self.holder.as_ref().map(|holder| holder.identity.as_str())
    }

    /// Whether it leads now.
    #[must_use]
    pub fn leads(&self, now: Instant) -> bool {
        self.until().is_some_and(|until| now < until)
    }

    /// Until when it leads without a further renewal.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        self.renewed.map(|renewed| renewed + HOLDS_FOR)
    }

    /// When to look again after a look that did what it wanted. Never later than when it may take
    /// the Lease over.
    #[must_use]
    pub fn next_look(&self, now: Instant) -> Instant {
        if let Some(renewed) = self.renewed {
            return (renewed + EVERY).max(now);
        }
        let holders = self.holder.as_ref().map(|holder| holder.since + TERM);
        let due = holders
            .or(self.free)
            .zip(self.cache_state.deference())
            .map(|(since, patience)| since + patience);
        due.map_or(now + EVERY, |due| due.clamp(now, now + EVERY))
    }

    /// Takes what a look showed that was sent at `asked` and answered at `answered`, and says what
    /// to do; `at` is the instant that is written. A read that failed says nothing and is not told
    /// here.
    pub fn saw(
        &mut self,
        lease: Option<&Lease>,
        asked: Instant,
        answered: Instant,
        at: Timestamp,
    ) -> LeaseAction {
        let holder = lease.and_then(holder);
        if holder != Some(self.identity.as_str()) {
            self.renewed = None;
            self.followed = true;
        }
        let (Some(lease), Some(other)) = (lease, holder.filter(|holder| *holder != self.identity))
        else {
            self.holder = None;
            if let Some(own) = lease.filter(|_| holder.is_some()) {
                self.free = None;
                return LeaseAction::Replace(renewed(own, at));
            }
            let since = *self.free.get_or_insert(answered);
            return match lease {
                _ if !self.may_take(asked, since, Duration::ZERO) => LeaseAction::Wait,
                None => LeaseAction::Create(self.taken(&self.unheld(), at)),
                Some(free) => LeaseAction::Replace(self.taken(free, at)),
            };
        };
        self.free = None;
        let version = version(lease);
        match &self.holder {
            Some(holder) if holder.version == version => {
                if self.may_take(asked, holder.since, TERM) {
                    LeaseAction::Replace(self.taken(lease, at))
                } else {
                    LeaseAction::Wait
                }
            }
            Some(_) | None => {
                self.holder = Some(Holder { identity: other.to_owned(), version, since: answered });
                LeaseAction::Wait
            }
        }
    }

    /// Whether a look that was sent at `asked` may take what has been so since `since`, where that
    /// takes a candidate with all caches so long.
    fn may_take(&self, asked: Instant, since: Instant, long: Duration) -> bool {
        self.cache_state
            .deference()
            .is_some_and(|longer| asked.saturating_duration_since(since) >= long + longer)
    }

    /// Whether somebody else may have led since this was last asked: whose name stays in the Lease
    /// between two looks led alone, or nobody did.
    pub const fn was_followed(&mut self) -> bool {
        std::mem::replace(&mut self.followed, false)
    }

    /// Takes the acknowledgement of a write that [`Self::saw`] asked for, and that was sent at
    /// `sent`.
    pub fn acknowledged(&mut self, sent: Instant) {
        self.renewed = self.renewed.max(Some(sent));
        (self.holder, self.free) = (None, None);
    }

    /// The Lease as it is written to be led by nobody; `None` where it is not ours.
    #[must_use]
    pub fn released(&self, lease: &Lease) -> Option<Lease> {
        (holder(lease) == Some(self.identity.as_str())).then(|| {
            let spec =
                LeaseSpec { holder_identity: None, ..lease.spec.clone().unwrap_or_default() };
            Lease { spec: Some(spec), ..lease.clone() }
        })
    }

    /// The Lease before anybody held it. No labels: those of executors have them, and by them the
    /// old ones are found and deleted.
    fn unheld(&self) -> Lease {
        Lease {
            metadata: ObjectMeta { name: Some(self.lease.clone()), ..ObjectMeta::default() },
            spec: None,
        }
    }

    /// The Lease with this candidate as its new holder.
    fn taken(&self, lease: &Lease, at: Timestamp) -> Lease {
        let old = lease.spec.clone().unwrap_or_default();
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(TERM.as_secs()).ok(),
            acquire_time: Some(MicroTime(at)),
            renew_time: Some(MicroTime(at)),
            lease_transitions: Some(
                old.lease_transitions.map_or(0, |times| times.saturating_add(1)),
            ),
            ..old
        };
        Lease { spec: Some(spec), ..lease.clone() }
    }
}

/// The Lease with nothing but a later renewal.
fn renewed(lease: &Lease, at: Timestamp) -> Lease {
    let spec =
        LeaseSpec { renew_time: Some(MicroTime(at)), ..lease.spec.clone().unwrap_or_default() };
    Lease { spec: Some(spec), ..lease.clone() }
}

/// Who holds it. Some clients write an empty text for nobody.
fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// What tells two states of a Lease apart. The UID, too: one that was made again is another one.
fn version(lease: &Lease) -> String {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    format!("{}/{}", part(&lease.metadata.uid), part(&lease.metadata.resource_version))
}

#[cfg(test)]
mod tests;
