//! Named examples, then any order of calls against a reference that counts every slot.

use proptest::prelude::*;

use super::*;

const LIMITS: CallLimits = CallLimits { per_host: 2, per_namespace: 3, total: 5 };

fn saga(namespace: &str, name: &str) -> SagaRef {
    SagaRef::new(namespace, name)
}

/// A table, its clock, and what its callers know.
struct Story {
    table: SlotTable,
    now: Instant,
    /// The namespaces and hosts of the slots that are taken.
    taken: Vec<(String, String)>,
    /// The sagas and hosts for which no slot was free, in the order in which they began to wait.
    waits: Vec<(SagaRef, String)>,
    /// The sagas and hosts for which a slot is kept.
    offered: Vec<(SagaRef, String)>,
}

impl Story {
    fn new(limits: CallLimits) -> Self {
        Self {
            table: SlotTable::new(limits),
            now: Instant::now(),
            taken: Vec::new(),
            waits: Vec::new(),
            offered: Vec::new(),
        }
    }

    fn take(&mut self, saga: &SagaRef, host: &str) -> Result<(), CallLimit> {
        let entry = (saga.clone(), host.to_owned());
        let result = self.table.take(saga, host, self.now);
        self.notice();
        if result.is_ok() {
            self.offered.retain(|kept| *kept != entry);
            self.taken.push((saga.namespace.clone(), host.to_owned()));
        } else if !self.waits.contains(&entry) {
            self.waits.push(entry);
        }
        result
    }

    /// Gives the slot at this place of the list back. Returns the names of the woken sagas.
    fn give_back(&mut self, place: usize) -> Vec<String> {
        let (namespace, host) = self.taken.remove(place);
        self.table.give_back(&namespace, &host, self.now);
        self.notice()
    }

    fn keep(&mut self, saga: &SagaRef, host: Option<&str>) {
        self.table.keep(saga, |kept| Some(kept) == host, self.now);
        let is_kept = |entry: &(SagaRef, String)| entry.0 != *saga || Some(&*entry.1) == host;
        self.waits.retain(is_kept);
        self.offered.retain(is_kept);
        self.notice();
    }

    /// Notices which waiting sagas were offered a slot, and which offers lapsed. Returns the names
    /// of the woken sagas.
    fn notice(&mut self) -> Vec<String> {
        let woken = self.table.take_woken();
        let table = &self.table;
        let claim = |(saga, host): &(SagaRef, String)| table.claim(saga, host);
        self.offered.retain(|entry| matches!(claim(entry), Some(Claim::Offered(_))));
        let (offered, waits): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waits)
            .into_iter()
            .partition(|entry| !matches!(claim(entry), Some(Claim::Waits(_))));
        for (saga, host) in &offered {
            assert!(woken.contains(saga), "{saga:?} was offered a slot and is not told");
            let same = |(other, its): &&(SagaRef, String)| {
                other.namespace == saga.namespace && its == host
            };
            let number = |entry: &(SagaRef, String)| match claim(entry) {
                Some(Claim::Waits(number) | Claim::Offered(number)) => number,
                None => 0,
            };
            let own = number(&(saga.clone(), host.clone()));
            assert!(
                waits.iter().filter(same).all(|waiting| own < number(waiting)),
                "{saga:?} has not waited longest for {host}"
            );
        }
        self.waits = waits;
        self.offered.extend(offered);
        woken.into_iter().map(|saga| saga.name).collect()
    }

    /// Asserts that no limit is exceeded, and that no saga waits for a slot that is free.
    fn check(&self) {
        let CallLimits { per_host, per_namespace, total } = self.table.limits;
        let kept = self.offered.iter().map(|(saga, host)| (saga.namespace.clone(), host.clone()));
        let all: Vec<_> = self.taken.iter().cloned().chain(kept).collect();
        let of_host = |namespace: &str, host: &str| {
            all.iter().filter(|(own, its)| own == namespace && its == host).count()
        };
        let of_one = |namespace: &str| all.iter().filter(|(own, _)| own == namespace).count();
        assert!(all.len() <= total);
        for (namespace, host) in &all {
            assert!(of_one(namespace) <= per_namespace && of_host(namespace, host) <= per_host);
        }
        for (saga, host) in &self.waits {
            assert!(
                all.len() == total
                    || of_one(&saga.namespace) == per_namespace
                    || of_host(&saga.namespace, host) == per_host,
                "{saga:?} waits although a slot for {host} is free"
            );
        }
        assert_eq!(
            (self.table.taken(), self.table.waiting()),
            (all.len(), self.waits.len()),
            "what the metrics show"
        );
    }
}

#[test]
fn each_limit_is_named_and_the_narrowest_first() {
    let mut story = Story::new(LIMITS);
    for _ in 0..2 {
        assert_eq!(story.take(&saga("shop", "a"), "stock"), Ok(()));
    }
    assert_eq!(story.take(&saga("shop", "a"), "stock"), Err(CallLimit::Host(2)));
    assert_eq!(story.take(&saga("shop", "a"), "mail"), Ok(()));
    assert_eq!(story.take(&saga("shop", "a"), "mail"), Err(CallLimit::Namespace(3)));
    for host in ["stock", "mail"] {
        assert_eq!(story.take(&saga("crm", "a"), host), Ok(()));
    }
    assert_eq!(story.take(&saga("crm", "a"), "stock"), Err(CallLimit::Process(5)));
    assert_eq!(story.take(&saga("hr", "a"), "stock"), Err(CallLimit::Process(5)));
}

#[test]
fn in_a_namespace_the_longest_wait_comes_first_whatever_the_host() {
    let mut story = Story::new(LIMITS);
    for host in ["stock", "stock", "mail"] {
        assert_eq!(story.take(&saga("shop", "busy"), host), Ok(()));
    }
    for (name, host) in [("a", "stock"), ("b", "mail"), ("c", "stock"), ("a", "stock")] {
        story.take(&saga("shop", name), host).unwrap_err();
    }
    assert_eq!(story.give_back(2), ["b"], "the host of the saga that waits longer is full");
    assert_eq!(story.give_back(0), ["a"]);
    assert_eq!(story.take(&saga("shop", "d"), "stock"), Err(CallLimit::Host(2)), "kept for a");
    assert_eq!(story.take(&saga("shop", "a"), "stock"), Ok(()));
    assert_eq!(story.give_back(0), ["c"]);
}

#[test]
fn among_namespaces_the_slots_go_in_turns() {
    let mut story = Story::new(CallLimits { per_host: 2, per_namespace: 2, total: 2 });
    for _ in 0..2 {
        assert_eq!(story.take(&saga("loud", "busy"), "stock"), Ok(()));
    }
    for (namespace, name) in [
        ("loud", "l1"),
        ("loud", "l2"),
        ("loud", "l3"),
        ("shop", "s1"),
        ("shop", "s2"),
        ("crm", "c1"),
    ] {
        story.take(&saga(namespace, name), "mail").unwrap_err();
    }
    let mut order = Vec::new();
    for _ in 0..6 {
        let woken = story.give_back(0);
        let (woken, host) =
            story.offered.iter().find(|(saga, _)| woken == [&*saga.name]).unwrap().clone();
        story.take(&woken, &host).unwrap();
        order.push(woken.name);
    }
    assert_eq!(order, ["l1", "s1", "c1", "l2", "s2", "l3"]);
}

#[test]
fn a_slot_that_its_saga_does_not_take_goes_to_the_next() {
    let mut story = Story::new(CallLimits { per_host: 1, per_namespace: 1, total: 1 });
    story.take(&saga("shop", "busy"), "stock").unwrap();
    for name in ["a", "b", "c"] {
        story.take(&saga("shop", name), "stock").unwrap_err();
    }
    assert_eq!(story.give_back(0), ["a"]);
    // The reconcile of `a` shows that it needs no call.
    story.keep(&saga("shop", "a"), None);
    assert_eq!(story.offered, [(saga("shop", "b"), "stock".into())]);
    // `b` is gone.
    story.now += LAPSES;
    story.take(&saga("shop", "d"), "stock").unwrap_err();
    assert_eq!(story.offered, [(saga("shop", "c"), "stock".into())]);
    story.take(&saga("shop", "c"), "stock").unwrap();
}

#[test]
fn nothing_is_kept_of_a_host_that_nobody_calls() {
    let mut story = Story::new(CallLimits { per_host: 1, per_namespace: 1, total: 1 });
    story.take(&saga("shop", "a"), "stock").unwrap();
    story.take(&saga("shop", "b"), "mail").unwrap_err();
    story.give_back(0);
    story.take(&saga("shop", "b"), "mail").unwrap();
    story.give_back(0);
    story.take(&saga("shop", "a"), "stock").unwrap();
    story.give_back(0);
    let SlotTable { taken, waiting, namespaces, turns, offers, .. } = &story.table;
    assert_eq!((*taken, *waiting), (0, 0));
    assert!(namespaces.is_empty() && turns.is_empty() && offers.is_empty(), "{:?}", story.table);
}

/// A call of the table.
#[derive(Clone, Copy, Debug)]
enum Call {
    Take(usize, usize, usize),
    GiveBack(usize),
    Keep(usize, usize, Option<usize>),
    Wait(u64),
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let take = (0..4_usize, 0..4_usize, 0..3_usize)
        .prop_map(|(namespace, name, host)| Call::Take(namespace, name, host));
    let keep = (0..4_usize, 0..4_usize, proptest::option::of(0..3_usize))
        .prop_map(|(namespace, name, host)| Call::Keep(namespace, name, host));
    let call = prop_oneof![
        6 => take,
        4 => (0..8_usize).prop_map(Call::GiveBack),
        2 => keep,
        1 => (1..40_u64).prop_map(Call::Wait),
    ];
    proptest::collection::vec(call, 0..120)
}

proptest! {
    #[test]
    fn no_saga_waits_for_a_slot_that_is_free(calls in calls()) {
        const NAMES: [&str; 4] = ["a", "b", "c", "d"];
        let mut story = Story::new(LIMITS);
        for call in calls {
            match call {
                Call::Take(namespace, name, host) => {
                    let _ = story.take(&saga(NAMES[namespace], NAMES[name]), NAMES[host]);
                }
                Call::GiveBack(place) if !story.taken.is_empty() => {
                    story.give_back(place % story.taken.len());
                }
                Call::GiveBack(_) => {}
                Call::Keep(namespace, name, host) => {
                    story.keep(&saga(NAMES[namespace], NAMES[name]), host.map(|host| NAMES[host]));
                }
                Call::Wait(seconds) => story.now += Duration::from_secs(seconds),
            }
            story.check();
        }
        // What is kept for sagas that never come goes to the others, one after the other.
        while !story.waits.is_empty() || !story.taken.is_empty() || !story.offered.is_empty() {
            story.now += LAPSES;
            if story.taken.is_empty() {
                story.keep(&saga("nobody", "nobody"), None);
                let _ = story.take(&saga("nobody", "nobody"), "nowhere");
            } else {
                story.give_back(0);
            }
            story.check();
        }
        prop_assert!(story.table.namespaces.is_empty(), "{:?}", story.table);
    }
}
