//! The waits of a test: for states of sagas, of the shop, of events and of Pods.

use std::time::Duration;

use k8s_openapi::api::{core::v1::Pod, events::v1::Event};
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams},
    runtime::wait::await_condition,
};
use saga_operator::api::{HANDLED, RequestRecord, Saga, SagaPhase, StepPhase};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{PATIENCE, Stand, post, records, scope, told::step_of};
use crate::shop::Entry;

impl Stand {
    /// Waits until an object that was put is terminating or gone.
    pub async fn until_gone_or_going(&self, object: &Value) {
        let going = |object: Option<&DynamicObject>| {
            object.is_none_or(|object| object.metadata.deletion_timestamp.is_some())
        };
        let name = object["metadata"]["name"].as_str().unwrap();
        timeout(PATIENCE, await_condition(self.api_of(object), name, going))
            .await
            .unwrap()
            .unwrap();
    }

    /// Waits until the saga satisfies a condition. If that takes too long, the test fails with the
    /// status of the saga and the operator's log.
    pub async fn until(
        &self,
        name: &str,
        what: &str,
        condition: impl Fn(&Saga) -> bool + Send + Sync,
    ) -> Saga {
        let holds = |saga: Option<&Saga>| saga.is_some_and(&condition);
        if let Ok(saga) = timeout(PATIENCE, await_condition(self.sagas(), name, holds)).await {
            return saga.unwrap().unwrap();
        }
        let saga = self.sagas().get_opt(name).await.unwrap();
        let status = saga.and_then(|saga| saga.status);
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let tail: Vec<_> = log.lines().rev().take(20).collect();
        panic!(
            "{name} is not {what}: {}\n{}",
            serde_json::to_string_pretty(&status).unwrap(),
            tail.join("\n")
        );
    }

    /// Waits until the saga is in a phase.
    pub async fn reaches(&self, name: &str, phase: SagaPhase) -> Saga {
        self.until(name, phase.as_str(), |saga| {
            saga.status.as_ref().and_then(|status| status.phase) == Some(phase)
        })
        .await
    }

    /// Waits until the saga no longer exists.
    pub async fn gone(&self, name: &str) {
        let gone = timeout(
            PATIENCE,
            await_condition(self.sagas(), name, |saga: Option<&Saga>| saga.is_none()),
        )
        .await;
        assert!(gone.is_ok(), "{name} is still there: {:?}", self.sagas().get_opt(name).await);
    }

    /// Waits until a step is in a phase.
    pub async fn step_reaches(&self, saga: &str, name: &str, phase: StepPhase) -> Saga {
        let what = format!("{} at step {name}", phase.as_str());
        self.until(saga, &what, |saga| step_of(saga, name).is_some_and(|step| step.phase == phase))
            .await
    }

    /// Waits until the shop's ledger satisfies a condition.
    pub async fn shop_sees(&self, what: &str, wanted: impl Fn(&[Entry]) -> bool) {
        let seen = timeout(PATIENCE, self.shop.until(wanted)).await;
        assert!(seen.is_ok(), "the shop does not see {what}: {:#?}", self.shop.entries(None));
    }

    /// Waits until the shop did what a saga's step asked for. The answer may be kept back.
    pub async fn shop_has_done(&self, saga: &Saga, step: &str) {
        let scope = scope(saga);
        let done = |entry: &Entry| {
            entry.scope == scope && entry.step == step && entry.kind == crate::shop::Kind::Done
        };
        self.shop_sees(&format!("{step} done"), |entries| entries.iter().any(done)).await;
    }

    /// Runs another saga to its end. Meanwhile the operator has had the time for any wrong action.
    pub async fn meanwhile(&self, name: &str) {
        let steps: Vec<_> = ["one", "two", "three"]
            .map(|step| json!({"name": step, "http": post("/mail/messages")}))
            .into();
        self.apply(name, &json!({"steps": steps})).await;
        self.reaches(name, SagaPhase::Completed).await;
    }

    /// Waits for an event about a saga. The saga may no longer exist.
    pub async fn event(&self, saga: &str, reason: &str) -> Event {
        let found = async {
            loop {
                let events = self.events(saga).await;
                if let Some(event) =
                    events.into_iter().find(|event| event.reason.as_deref() == Some(reason))
                {
                    return event;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no event {reason} about {saga}"))
    }

    /// Returns all events about a saga.
    pub async fn events(&self, saga: &str) -> Vec<Event> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let parameters =
            ListParams::default().fields(&format!("regarding.kind=Saga,regarding.name={saga}"));
        events.list(&parameters).await.unwrap().items
    }

    /// Deletes a saga and waits until it no longer exists.
    pub async fn remove(&self, name: &str) {
        self.delete(name).await;
        self.gone(name).await;
    }

    /// Waits until a saga's request of this number is answered and its annotation is removed.
    /// Returns the answer.
    pub async fn answer(&self, saga: &str, number: i64) -> RequestRecord {
        let handled = |saga: &Saga| {
            saga.annotations().get(HANDLED).is_some_and(|handled| *handled == number.to_string())
        };
        let saga = self.until(saga, &format!("at the answer to request {number}"), handled).await;
        records(&saga).iter().find(|record| record.number == number).unwrap().clone()
    }

    /// Waits until a saga has no finalizer any more: nothing is left to be done.
    pub async fn is_let_go(&self, saga: &str) -> Saga {
        self.until(saga, "let go", |saga| {
            saga.metadata.finalizers.as_ref().is_none_or(Vec::is_empty)
        })
        .await
    }

    /// Waits until this many Pods of a saga have ended.
    pub async fn pods_end(&self, saga: &str, count: usize) {
        let ended = async {
            loop {
                let phases =
                    self.pods_of(saga).await.into_iter().filter_map(|pod| pod.status?.phase);
                if phases.filter(|phase| phase == "Succeeded" || phase == "Failed").count() >= count
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, ended)
            .await
            .unwrap_or_else(|_| panic!("{count} Pods of {saga} do not end"));
    }

    /// Returns the Pods of a saga.
    pub async fn pods_of(&self, saga: &str) -> Vec<Pod> {
        let parameters = ListParams::default().labels(&format!("saga.dev/saga={saga}"));
        self.pods().list(&parameters).await.unwrap().items
    }
}
