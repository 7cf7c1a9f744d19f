//! Named examples, then any order of events against a reference that is slow and plain.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds { all: 8, namespace: 6, contended: 2 };

fn shares() -> Shares<u8> {
    Shares::new(BOUNDS)
}

/// Pushes these items of a namespace.
fn push(shares: &mut Shares<u8>, namespace: &str, items: impl IntoIterator<Item = u8>) {
    for item in items {
        shares.push(namespace, item);
    }
}

/// Starts what may begin, and says it in words.
fn started(shares: &mut Shares<u8>) -> Vec<String> {
    std::iter::from_fn(|| shares.start())
        .map(|(namespace, item)| format!("{namespace}{item}"))
        .collect()
}

#[test]
fn a_namespace_alone_leaves_places_free() {
    let mut shares = shares();
    push(&mut shares, "a", 0..9);
    assert_eq!(started(&mut shares), ["a0", "a1", "a2", "a3", "a4", "a5"]);
    push(&mut shares, "b", [0]);
    assert_eq!(started(&mut shares), ["b0"], "it finds a free place");
    assert_eq!((shares.running(), shares.waiting()), (7, 3));
}

#[test]
fn namespaces_take_turns_and_each_keeps_the_order_of_arrival() {
    let mut shares = shares();
    push(&mut shares, "a", [3, 1, 2]);
    push(&mut shares, "b", [2, 1]);
    push(&mut shares, "c", [1]);
    push(&mut shares, "a", [1]);
    assert_eq!(started(&mut shares), ["a3", "b2", "c1", "a1", "b1", "a2"]);
}

#[test]
fn a_namespace_runs_fewer_items_while_another_one_waits() {
    let mut shares = shares();
    push(&mut shares, "a", 0..6);
    push(&mut shares, "b", 0..6);
    assert_eq!(started(&mut shares), ["a0", "b0", "a1", "b1"]);
    push(&mut shares, "c", [0]);
    assert_eq!(started(&mut shares), ["c0"], "it waits for none of theirs");
    shares.ended("b", 1, None);
    assert_eq!(started(&mut shares), ["b2"]);
}

#[test]
fn a_namespace_gives_no_running_item_up_and_begins_none_beyond_the_lower_bound() {
    let mut shares = shares();
    push(&mut shares, "a", 0..9);
    assert_eq!(started(&mut shares).len(), 6);
    push(&mut shares, "b", 0..3);
    assert_eq!(started(&mut shares), ["b0", "b1"]);
    for item in 0..4 {
        shares.ended("a", item, None);
        assert_eq!(started(&mut shares), [""; 0], "a runs {} others", 5 - item);
    }
    shares.ended("a", 4, None);
    assert_eq!(started(&mut shares), ["a6"]);
    shares.ended("b", 0, None);
    assert_eq!(started(&mut shares), ["b2", "a7", "a8"], "b waits no longer");
}

#[test]
fn an_item_that_is_pushed_while_it_runs_runs_once_more() {
    let mut shares = shares();
    push(&mut shares, "a", [1, 1]);
    assert_eq!(started(&mut shares), ["a1"]);
    push(&mut shares, "a", [1, 1]);
    assert_eq!(started(&mut shares), [""; 0], "it runs");
    // The timer belongs to the run before the push.
    shares.ended("a", 1, Some(Instant::now()));
    assert_eq!((started(&mut shares), shares.next_due()), (vec!["a1".to_owned()], None));
    shares.ended("a", 1, None);
    assert_eq!((shares.waiting(), shares.running(), shares.namespaces.len()), (0, 0, 0));
}

#[test]
fn a_timer_that_is_due_takes_its_place_in_the_queue() {
    let (mut shares, now) = (shares(), Instant::now());
    let later = |seconds| now + Duration::from_secs(seconds);
    push(&mut shares, "a", [1, 2]);
    assert_eq!(started(&mut shares).len(), 2);
    shares.ended("a", 1, Some(later(2)));
    shares.ended("a", 2, Some(later(1)));
    shares.due(now);
    assert_eq!((started(&mut shares).len(), shares.next_due()), (0, Some(later(1))));
    shares.due(later(2));
    assert_eq!(started(&mut shares), ["a2", "a1"]);
    assert_eq!(shares.next_due(), None);
}

#[test]
fn a_push_replaces_a_timer_and_the_run_that_follows_sets_the_next() {
    let (mut shares, now) = (shares(), Instant::now());
    push(&mut shares, "a", [1]);
    assert_eq!(started(&mut shares).len(), 1);
    shares.ended("a", 1, Some(now));
    push(&mut shares, "a", [1]);
    assert_eq!((shares.next_due(), started(&mut shares).len()), (None, 1));
    shares.ended("a", 1, Some(now + Duration::from_secs(5)));
    shares.due(now);
    assert_eq!(started(&mut shares), [""; 0]);
    assert_eq!(shares.next_due(), Some(now + Duration::from_secs(5)));
}

#[test]
fn the_end_of_what_does_not_run_changes_nothing() {
    let mut shares = shares();
    shares.ended("a", 1, Some(Instant::now()));
    push(&mut shares, "a", [1]);
    shares.ended("a", 1, Some(Instant::now()));
    assert_eq!((shares.waiting(), shares.running(), shares.next_due()), (1, 0, None));
}

/// What happens to the shares.
#[derive(Clone, Debug)]
enum Event {
    Push(u8, u8),
    Start,
    /// The running item of this index ends, and waits again after so many seconds.
    End(prop::sample::Index, Option<u8>),
    /// So many seconds pass.
    Pass(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..4_u8, 0..8_u8).prop_map(|(namespace, item)| Event::Push(namespace, item)),
        4 => Just(Event::Start),
        3 => (any::<prop::sample::Index>(), prop::option::of(0..9_u8))
            .prop_map(|(index, again)| Event::End(index, again)),
        1 => (0..5_u8).prop_map(Event::Pass),
    ]
}

type Named = (String, u8);

/// The shares, and what they have to be.
struct Story {
    shares: Shares<u8>,
    now: Instant,
    /// The items that wait, in the order of their arrival.
    waiting: Vec<Named>,
    running: Vec<Named>,
    /// The running items that were pushed meanwhile.
    again: BTreeSet<Named>,
    /// The timers, each with its instant and the number of timers that were set before.
    timers: BTreeMap<Named, (Instant, usize)>,
    timers_set: usize,
    /// For each namespace that waits: the namespaces that began an item while it might have.
    passed_by: BTreeMap<String, BTreeSet<String>>,
}

impl Story {
    fn new() -> Self {
        Self {
            shares: shares(),
            now: Instant::now(),
            waiting: Vec::new(),
            running: Vec::new(),
            again: BTreeSet::new(),
            timers: BTreeMap::new(),
            timers_set: 0,
            passed_by: BTreeMap::new(),
        }
    }

    fn waits(&self) -> BTreeSet<String> {
        self.waiting.iter().map(|(namespace, _)| namespace.clone()).collect()
    }

    fn runs(&self, namespace: &str) -> usize {
        self.running.iter().filter(|(of, _)| of == namespace).count()
    }

    /// Returns whether a namespace that waits may begin an item.
    fn may_begin(&self, namespace: &str) -> bool {
        let most = if self.waits().len() > 1 { BOUNDS.contended } else { BOUNDS.namespace };
        self.running.len() < BOUNDS.all && self.runs(namespace) < most
    }

    fn wait(&mut self, item: Named) {
        self.timers.remove(&item);
        if self.running.contains(&item) {
            self.again.insert(item);
        } else if !self.waiting.contains(&item) {
            self.waiting.push(item);
        }
    }

    fn happens(&mut self, event: &Event) {
        match event {
            Event::Push(namespace, item) => {
                let named = (format!("n{namespace}"), *item);
                self.shares.push(&named.0, *item);
                self.wait(named);
            }
            Event::Start => self.starts(),
            Event::End(_, _) if self.running.is_empty() => {}
            Event::End(index, again) => {
                let ended = self.running.remove(index.index(self.running.len()));
                let again = again.map(|again| self.now + Duration::from_secs(again.into()));
                self.shares.ended(&ended.0, ended.1, again);
                if self.again.remove(&ended) {
                    self.waiting.push(ended);
                } else if let Some(again) = again {
                    self.timers.insert(ended, (again, self.timers_set));
                    self.timers_set += 1;
                }
            }
            Event::Pass(seconds) => self.pass((*seconds).into()),
        }
        assert_eq!(self.shares.running(), self.running.len());
        assert_eq!(self.shares.waiting(), self.waiting.len());
        assert_eq!(self.shares.next_due(), self.timers.values().map(|(at, _)| *at).min());
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.shares.due(self.now);
        let due = self.timers.iter().filter(|(_, (at, _))| *at <= self.now);
        let mut due: Vec<_> = due.map(|(item, timer)| (*timer, item.clone())).collect();
        due.sort();
        for (_, item) in due {
            self.wait(item);
        }
    }

    fn starts(&mut self) {
        let Some((namespace, item)) = self.shares.start() else {
            for namespace in self.waits() {
                assert!(!self.may_begin(&namespace), "{namespace} waits for nothing");
            }
            return;
        };
        let named = (namespace.clone(), item);
        assert!(!self.running.contains(&named), "{named:?} runs twice");
        assert!(self.may_begin(&namespace), "{namespace} runs {} already", self.runs(&namespace));
        let place = self.waiting.iter().position(|(of, _)| *of == namespace);
        let place = place.expect("a namespace that begins an item has waited");
        assert_eq!(self.waiting[place], named, "the item that has waited longest");
        for other in self.waits() {
            if other != namespace && self.may_begin(&other) {
                let passed_by = self.passed_by.entry(other.clone()).or_default();
                let first = passed_by.insert(namespace.clone());
                assert!(first, "{namespace} begins two items before {other}");
            }
        }
        self.passed_by.remove(&namespace);
        self.waiting.remove(place);
        self.running.push(named);
    }

    /// Lets everything come to its end, and returns how many items began.
    fn comes_to_its_end(&mut self) {
        self.pass(10);
        while !self.waiting.is_empty() || !self.running.is_empty() {
            for _ in 0..BOUNDS.all {
                self.happens(&Event::Start);
            }
            assert!(!self.running.is_empty(), "nobody begins");
            while let Some((namespace, item)) = self.running.pop() {
                self.shares.ended(&namespace, item, None);
                if self.again.remove(&(namespace.clone(), item)) {
                    self.waiting.push((namespace, item));
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn no_order_of_events_breaks_a_bound_or_loses_an_item(
        events in prop::collection::vec(event(), 0..200),
    ) {
        let mut story = Story::new();
        for event in &events {
            story.happens(event);
        }
        story.comes_to_its_end();
        prop_assert_eq!((story.shares.running(), story.shares.waiting()), (0, 0));
        prop_assert!(story.shares.namespaces.is_empty() && story.shares.turns.is_empty());
        prop_assert!(story.shares.timers.is_empty());
    }

    #[test]
    fn the_items_of_a_namespace_begin_in_the_order_of_their_arrival(
        pushed in prop::collection::vec((0..3_u8, any::<u8>()), 0..60),
    ) {
        let (mut shares, mut expected, mut began) =
            (shares(), BTreeMap::<String, Vec<u8>>::new(), BTreeMap::<String, Vec<u8>>::new());
        for (namespace, item) in pushed {
            let namespace = format!("n{namespace}");
            shares.push(&namespace, item);
            let arrived = expected.entry(namespace).or_default();
            if !arrived.contains(&item) {
                arrived.push(item);
            }
        }
        while let Some((namespace, item)) = shares.start() {
            shares.ended(&namespace, item, None);
            began.entry(namespace).or_default().push(item);
        }
        prop_assert_eq!(began, expected);
    }
}
