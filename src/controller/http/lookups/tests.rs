use futures::{FutureExt, future::BoxFuture};

use super::*;

type Acquired = BoxFuture<'static, LookupPermit>;

/// Returns the future of a permit, which was asked for.
fn asked(lookups: &Arc<Lookups>, namespace: &'static str) -> Acquired {
    let lookups = Arc::clone(lookups);
    let mut acquired = async move { lookups.acquire(namespace).await }.boxed();
    assert!((&mut acquired).now_or_never().is_none(), "a permit was free");
    acquired
}

fn acquire(lookups: &Arc<Lookups>, namespace: &str, count: usize) -> Vec<LookupPermit> {
    (0..count).map(|_| lookups.acquire(namespace).now_or_never().unwrap()).collect()
}

/// Takes those futures out of the list that have their permit now. Returns their permits.
fn granted(waiting: &mut Vec<(&'static str, Acquired)>) -> Vec<(&'static str, LookupPermit)> {
    let mut granted = Vec::new();
    waiting.retain_mut(|(name, acquired)| match acquired.now_or_never() {
        Some(permit) => {
            granted.push((*name, permit));
            false
        }
        None => true,
    });
    granted
}

#[test]
fn a_namespace_has_its_share_and_the_process_its_total() {
    let lookups: Arc<Lookups> = Arc::default();
    let namespaces = ["a", "b", "c", "d"];
    let mut all: Vec<_> = namespaces
        .iter()
        .flat_map(|namespace| acquire(&lookups, namespace, MAX_LOOKUPS_PER_NAMESPACE))
        .collect();
    assert_eq!(all.len(), MAX_LOOKUPS);
    let (own, other) = (asked(&lookups, "a"), asked(&lookups, "e"));
    assert_eq!(lookups.usage(), Usage { in_use: MAX_LOOKUPS, limit: MAX_LOOKUPS, waiting: 2 });
    drop(all.pop());
    assert!(own.now_or_never().is_none(), "a has its share");
    let permit = other.now_or_never().unwrap();
    assert_eq!(lookups.usage(), Usage { in_use: MAX_LOOKUPS, limit: MAX_LOOKUPS, waiting: 0 });
    drop((all, permit));
    let table = lookups.lock();
    assert!(table.namespaces.is_empty() && table.taken == 0, "{table:?}");
}

#[test]
fn among_namespaces_the_permits_go_in_turns() {
    let lookups: Arc<Lookups> = Arc::default();
    let mut all: Vec<_> = ["w", "x", "y", "z"]
        .iter()
        .flat_map(|namespace| acquire(&lookups, namespace, MAX_LOOKUPS_PER_NAMESPACE))
        .collect();
    let mut waiting: Vec<_> = [("l1", "loud"), ("l2", "loud"), ("l3", "loud"), ("s1", "shop")]
        .map(|(name, namespace)| (name, asked(&lookups, namespace)))
        .into();
    let mut order = Vec::new();
    let mut kept = Vec::new();
    while !waiting.is_empty() {
        drop(all.pop());
        for (name, permit) in granted(&mut waiting) {
            order.push(name);
            kept.push(permit);
        }
    }
    assert_eq!(order, ["l1", "s1", "l2", "l3"]);
}

#[test]
fn a_caller_that_gave_up_gets_no_permit_and_keeps_none() {
    let lookups: Arc<Lookups> = Arc::default();
    let mut all = acquire(&lookups, "shop", MAX_LOOKUPS_PER_NAMESPACE);
    let (first, second, third) =
        (asked(&lookups, "shop"), asked(&lookups, "shop"), asked(&lookups, "shop"));
    drop(first);
    drop(all.pop());
    // The second gives up after it was granted its permit, and before it took it.
    drop(second);
    assert!(third.now_or_never().is_some());
}

#[test]
fn a_saga_waits_while_all_look_ups_are_slow_and_is_enqueued_afterwards() {
    let (queue, mut enqueued) = Queue::new(Vec::new());
    let lookups: Arc<Lookups> = Arc::default();
    let (order, other) = (SagaRef::new("shop", "order"), SagaRef::new("crm", "lead"));
    let mut all = acquire(&lookups, "shop", MAX_LOOKUPS_PER_NAMESPACE);
    assert_eq!(lookups.blocks(&order, &queue), None, "they may end soon");
    lookups.age();
    let limit = CallLimit::NamespaceLookups(MAX_LOOKUPS_PER_NAMESPACE);
    assert_eq!(lookups.blocks(&order, &queue), Some(limit));
    assert_eq!(lookups.blocks(&other, &queue), None, "it has a share of its own");
    drop(all.pop());
    assert_eq!(enqueued.try_recv().unwrap(), SagaRef::new("shop", "order"));
    assert!(enqueued.try_recv().is_err());
    assert_eq!(lookups.blocks(&order, &queue), None);

    let others = ["a", "b", "c"].map(|name| acquire(&lookups, name, MAX_LOOKUPS_PER_NAMESPACE));
    all.extend(acquire(&lookups, "d", 1));
    lookups.age();
    assert_eq!(lookups.blocks(&other, &queue), Some(CallLimit::ProcessLookups(MAX_LOOKUPS)));
    drop(others);
    assert_eq!(enqueued.try_recv().unwrap(), SagaRef::new("crm", "lead"));
}
