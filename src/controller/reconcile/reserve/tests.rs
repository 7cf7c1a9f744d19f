use std::{collections::BTreeMap, sync::Arc};

use ::http::{Request, Response};
use kube::{Client, client::Body};
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::{
    api::{DeletionPolicy, SagaStatus, StoredSaga},
    controller::{
        clock::now,
        context::{Context, fixture},
    },
    model::{
        input::{OpenRequests, StoredFacts, Surroundings},
        observation::Observations,
        plan::StatusWrite,
        saga::SagaName,
        versions::Versions,
    },
    validate::saga::validate_stored,
};

/// The most HTTP requests of one namespace.
const MAX_CALLS_PER_NAMESPACE: usize = 64;

/// A context whose API server never answers, and the sagas that are enqueued in it.
fn context() -> (Arc<Context>, UnboundedReceiver<SagaRef>) {
    let service = tower::service_fn(|_: Request<Body>| {
        std::future::pending::<Result<Response<Body>, std::io::Error>>()
    });
    fixture::context(Client::new(service, "default"), None)
}

/// A saga that calls these hosts side by side.
fn saga(name: &str, hosts: &[&str]) -> ValidSaga {
    let steps: Vec<_> = (0..)
        .zip(hosts)
        .map(|(nth, host)| {
            let url = format!("http://{host}/work");
            json!({"name": format!("step-{nth}"), "http": {"method": "POST", "url": url}})
        })
        .collect();
    let stored: StoredSaga =
        serde_json::from_value(json!({"metadata": {}, "spec": {"maxParallel": 9, "steps": steps}}))
            .unwrap();
    let named = SagaName { name: name.into(), namespace: "shop".into(), uid: name.into() };
    validate_stored(&named, &stored.spec).unwrap()
}

/// What the first reconcile of a saga does: the slots that it takes, and what the saga then says.
fn planned(context: &Context, saga: &ValidSaga) -> (HashMap<AttemptId, Slot>, String) {
    let (status, children) = (Ok(SagaStatus::default()), Observations::new());
    let seen = PlanInput {
        stored: StoredFacts {
            generation: 1,
            deleting: false,
            finalizer: true,
            spec_hash: "v1:1",
            deletion_policy: DeletionPolicy::Compensate,
            status: &status,
            salvaged: &SagaStatus::default(),
            keys_from: &BTreeMap::new(),
        },
        requests: OpenRequests { asked: &[], handled: 0, patch_alone: false },
        surroundings: Surroundings {
            children: &children,
            leftovers: false,
            terminating: false,
            parent_holds: false,
            precheck: None,
        },
        process: ThisProcess { executor: Some("me"), ..ThisProcess::default() },
        versions: Versions::default(),
        now: now(),
    };
    let attempts = &context.memory.attempts;
    let (plan, slots) =
        plan_with_slots(&context.outbound, &context.queue, attempts, &Ok(saga.clone()), &seen);
    let Some(StatusWrite::Whole(status)) = &plan.status else { panic!("nothing is written") };
    (slots, status.message.clone().unwrap_or_default())
}

/// Takes this many slots of the namespace, each for a host of its own.
fn others(context: &Context, count: usize) -> Vec<Slot> {
    let other = SagaRef::new("shop", "other");
    (0..count)
        .map(|nth| Slot::take(&context.outbound.slots, &other, &format!("h{nth}")).ok().unwrap())
        .collect()
}

#[tokio::test]
async fn a_plan_begins_as_many_calls_as_its_namespace_may_have_and_its_saga_waits_for_the_rest() {
    let (context, mut enqueued) = context();
    let mut others = others(&context, MAX_CALLS_PER_NAMESPACE - 1);
    let saga = saga("order", &["stock.svc:80", "stock.svc:81", "mail.svc"]);
    let (slots, message) = planned(&context, &saga);
    assert_eq!(slots.len(), 1);
    assert!(message.contains("64 calls of this namespace are in flight"), "{message}");
    assert_eq!(context.outbound.slots.usage().waiting, 1, "for one host");
    assert!(enqueued.try_recv().is_err());
    drop(others.pop());
    assert_eq!(enqueued.try_recv().unwrap(), SagaRef::new("shop", "order"));
    // The record was refused, so that nothing begins.
    drop(slots);
    drop(others);
    let (slots, _) = planned(&context, &saga);
    assert_eq!((slots.len(), context.outbound.slots.usage().waiting), (3, 0));
    drop(slots);
    assert_eq!(context.outbound.slots.usage().in_use, 0);
}

#[tokio::test]
async fn a_saga_that_no_longer_calls_a_host_keeps_no_slot_of_it() {
    let (context, mut enqueued) = context();
    let mut others = others(&context, MAX_CALLS_PER_NAMESPACE);
    let (slots, _) = planned(&context, &saga("order", &["stock.svc", "mail.svc"]));
    assert!(slots.is_empty());
    drop(others.pop());
    assert_eq!(enqueued.try_recv().unwrap(), SagaRef::new("shop", "order"));
    // The saga changed meanwhile.
    let (slots, _) = planned(&context, &saga("order", &["crm.svc"]));
    assert!(slots.is_empty(), "the free slot was kept for another host");
    assert_eq!(enqueued.try_recv().unwrap(), SagaRef::new("shop", "order"));
    assert_eq!(context.outbound.slots.usage().waiting, 0);
    let (slots, _) = planned(&context, &saga("order", &["crm.svc"]));
    assert_eq!(slots.len(), 1);
}

#[tokio::test]
async fn while_look_ups_are_slow_only_hosts_without_a_name_are_called() {
    let (context, mut enqueued) = context();
    let slow = context.outbound.caller.lookups().all_slow("shop");
    let (slots, message) =
        planned(&context, &saga("order", &["10.0.0.1", "[fd00::7]", "mail.svc"]));
    assert_eq!(slots.len(), 2);
    assert!(message.contains("8 name look-ups of this namespace are in flight"), "{message}");
    assert_eq!(context.outbound.slots.usage().waiting, 0);
    drop((slots, slow));
    assert_eq!(enqueued.try_recv().unwrap(), SagaRef::new("shop", "order"));
    let (slots, _) = planned(&context, &saga("order", &["mail.svc"]));
    assert_eq!(slots.len(), 1);
}
