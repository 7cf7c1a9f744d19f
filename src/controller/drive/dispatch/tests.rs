#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::stream;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::*;

/// How long every reconcile takes.
const TAKES: Duration = Duration::from_secs(1);
/// Long enough for all that a test waits for.
const LONG: Duration = Duration::from_hours(1);

/// What reconciles do in a test.
type Act = Arc<dyn Fn(&SagaRef, u64) -> Action + Send + Sync>;

/// The reconciles of a test: each takes a second.
#[derive(Clone)]
struct Reconciles {
    begun: Instant,
    act: Act,
    /// The seconds at which the reconciles of each saga began.
    seen: Arc<Mutex<BTreeMap<String, Vec<u64>>>>,
    /// How many run of each namespace, and the most that ran.
    running: Arc<Mutex<BTreeMap<String, (usize, usize)>>>,
    gauges: ReconcileGauges,
}

impl Reconciles {
    fn new(act: impl Fn(&SagaRef, u64) -> Action + Send + Sync + 'static) -> Self {
        Self {
            begun: Instant::now(),
            act: Arc::new(act),
            seen: Arc::default(),
            running: Arc::default(),
            gauges: ReconcileGauges::default(),
        }
    }

    /// Creates reconciles that leave nothing to do.
    fn quiet() -> Self {
        Self::new(|_, _| Action::await_change())
    }

    fn count(&self, namespace: &str, change: isize) {
        let mut running = self.running.lock().unwrap();
        for of in [namespace, "all"] {
            let (now, most) = running.entry(of.to_owned()).or_default();
            *now = now.checked_add_signed(change).unwrap();
            *most = (*now).max(*most);
        }
    }

    fn most(&self, namespace: &str) -> usize {
        self.running.lock().unwrap().get(namespace).map_or(0, |(_, most)| *most)
    }

    /// Returns the seconds at which the reconciles of a saga began.
    fn of(&self, namespace: &str, name: &str) -> Vec<u64> {
        let seen = self.seen.lock().unwrap();
        seen.get(&format!("{namespace}/{name}")).cloned().unwrap_or_default()
    }

    async fn reconcile(self, saga: SagaRef) -> Action {
        let second = self.begun.elapsed().as_secs();
        let named = format!("{}/{}", saga.namespace, saga.name);
        self.seen.lock().unwrap().entry(named).or_default().push(second);
        self.count(&saga.namespace, 1);
        sleep(TAKES).await;
        self.count(&saga.namespace, -1);
        (self.act)(&saga, second)
    }

    /// Dispatches these sagas for so long.
    async fn run(&self, sagas: impl Stream<Item = SagaRef> + Unpin, time: Duration) {
        let begin = |saga: &SagaRef| Some(self.clone().reconcile(saga.clone()));
        dispatch(sagas, begin, sleep(time), &self.gauges).await;
    }
}

/// Returns a stream that brings these sagas at once, and never ends.
fn at_once(sagas: impl IntoIterator<Item = SagaRef>) -> impl Stream<Item = SagaRef> + Unpin {
    stream::iter(sagas.into_iter().collect::<Vec<_>>()).chain(stream::pending())
}

fn sagas(namespace: &str, count: usize) -> impl Iterator<Item = SagaRef> {
    (0..count).map(move |number| SagaRef::new(namespace, &number.to_string()))
}

#[tokio::test(start_paused = true)]
async fn a_namespace_with_a_thousand_sagas_does_not_hold_up_the_three_of_another_one() {
    let reconciles = Reconciles::quiet();
    reconciles.run(at_once(sagas("busy", 1000).chain(sagas("quiet", 3))), LONG).await;
    for saga in sagas("quiet", 3) {
        assert_eq!(reconciles.of(&saga.namespace, &saga.name), [0]);
    }
    assert!(sagas("busy", 1000).all(|saga| reconciles.of("busy", &saga.name).len() == 1));
    assert_eq!(reconciles.of("busy", "999"), [1000 / 48], "48 at once, in the order of arrival");
    assert_eq!((reconciles.most("busy"), reconciles.most("all")), (48, 51));
}

#[tokio::test(start_paused = true)]
async fn busy_namespaces_share_the_places_equally_and_leave_none_unused_when_one_is_done() {
    let reconciles = Reconciles::quiet();
    let busy = ["a", "b", "c", "d", "e"];
    let all = (0..64).flat_map(|number| busy.map(|of| SagaRef::new(of, &number.to_string())));
    reconciles.run(at_once(all), LONG).await;
    assert_eq!(reconciles.most("all"), 64);
    assert!(busy.iter().all(|namespace| reconciles.most(namespace) <= 16));
    // There are 320 reconciles, and 64 of them end in a second.
    assert!(busy.iter().all(|namespace| reconciles.of(namespace, "63") == [4]));
}

#[tokio::test(start_paused = true)]
async fn a_saga_runs_once_at_a_time_and_once_more_if_it_was_enqueued_meanwhile() {
    let (reconciles, (enqueue, mut enqueued)) = (Reconciles::quiet(), mpsc::unbounded_channel());
    let sagas = stream::poll_fn(move |task| enqueued.poll_recv(task));
    let events = async move {
        for _ in 0..3 {
            enqueue.send(SagaRef::new("shop", "order")).unwrap();
        }
        sleep(TAKES / 2).await;
        for _ in 0..3 {
            enqueue.send(SagaRef::new("shop", "order")).unwrap();
        }
        sleep(LONG).await;
    };
    tokio::join!(events, reconciles.run(sagas, LONG / 2));
    assert_eq!((reconciles.of("shop", "order"), reconciles.most("shop")), (vec![0, 1], 1));
}

#[tokio::test(start_paused = true)]
async fn the_last_reconcile_sets_the_timer() {
    // Each reconcile takes a second. The first would be followed by one at 10 s, but an event comes
    // at 4 s.
    let waits = |_: &SagaRef, second| match second {
        0 => Action::requeue(Duration::from_secs(9)),
        4 => Action::requeue(Duration::from_secs(3)),
        _ => Action::await_change(),
    };
    let (reconciles, (enqueue, mut enqueued)) = (Reconciles::new(waits), mpsc::unbounded_channel());
    let sagas = stream::poll_fn(move |task| enqueued.poll_recv(task));
    let events = async move {
        enqueue.send(SagaRef::new("shop", "order")).unwrap();
        sleep(Duration::from_secs(4)).await;
        enqueue.send(SagaRef::new("shop", "order")).unwrap();
        sleep(LONG).await;
    };
    tokio::join!(events, reconciles.run(sagas, LONG / 2));
    assert_eq!(reconciles.of("shop", "order"), [0, 4, 8]);
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_is_due_waits_for_its_turn_like_an_event() {
    let again = |saga: &SagaRef, second| match (saga.namespace.as_str(), second) {
        ("quiet", 0) => Action::requeue(TAKES),
        ("busy", _) => Action::requeue(Duration::ZERO),
        _ => Action::await_change(),
    };
    let reconciles = Reconciles::new(again);
    let time = Duration::from_secs(30);
    reconciles.run(at_once(sagas("busy", 200).chain(sagas("quiet", 1))), time).await;
    assert_eq!(reconciles.of("quiet", "0"), [0, 2]);
    let times: Vec<_> =
        sagas("busy", 200).map(|saga| reconciles.of("busy", &saga.name).len()).collect();
    let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    // Of reconciles that end at one instant, any may be the first to wait again.
    assert!(most - least <= 2, "each saga has its turn: {times:?}");
}

#[tokio::test(start_paused = true)]
async fn when_the_process_stops_reconciles_under_way_end_and_none_begins() {
    let reconciles = Reconciles::new(|_, _| Action::requeue(Duration::ZERO));
    reconciles.run(at_once(sagas("shop", 100)), TAKES / 2).await;
    assert_eq!(reconciles.begun.elapsed().as_secs(), 1, "it waits for them");
    let began = reconciles.seen.lock().unwrap().values().map(Vec::len).sum::<usize>();
    let running = reconciles.running.lock().unwrap()["shop"].0;
    assert_eq!((began, running), (48, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_panics_is_tried_again_and_harms_no_other() {
    let bad = |saga: &SagaRef, second| {
        if saga.name == "0" && second == 0 {
            std::panic::resume_unwind(Box::new("bad"));
        }
        Action::await_change()
    };
    let reconciles = Reconciles::new(bad);
    reconciles.run(at_once(sagas("shop", 2)), LONG).await;
    assert_eq!((reconciles.of("shop", "0"), reconciles.of("shop", "1")), (vec![0, 61], vec![0]));
}

#[tokio::test(start_paused = true)]
async fn a_saga_that_is_gone_takes_no_place() {
    let reconciles = Reconciles::quiet();
    let begin =
        |saga: &SagaRef| (saga.name == "999").then(|| reconciles.clone().reconcile(saga.clone()));
    let dispatched = dispatch(at_once(sagas("shop", 1000)), begin, sleep(LONG), &reconciles.gauges);
    timeout(2 * LONG, dispatched).await.unwrap();
    assert_eq!((reconciles.most("shop"), reconciles.of("shop", "999")), (1, vec![0]));
}
