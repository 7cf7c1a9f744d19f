#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use crate::api::DeletionPolicy;
use crate::controller::effects::child_saga;
use crate::controller::effects::performance::Next;
use crate::model::command::ChildCommand;
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Method, Request};
use kube::{Client, client::Body};
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{Direction, SagaPhase},
    controller::{
        context::{Context, fixture},
        memory::attempt::AttemptKey,
        reconcile::observed::observed,
    },
    model::saga::SagaName,
    validate::saga::validate_stored,
};

/// A saga with a child, before an API server that holds both.
struct Family {
    context: Arc<Context>,
    parent: StoredSaga,
    saga: ValidSaga,
    made_by: AttemptId,
    /// How the next patches of the child are answered; all later ones with 200.
    answers: Arc<Mutex<Vec<u16>>>,
}

impl Family {
    /// `more`: what the parent's metadata say besides its identity. `record`: the status of its
    /// step.
    fn of(more: &Value, record: &Value) -> Self {
        let made_by = AttemptId { step: "tenant".into(), direction: Direction::Action, number: 1 };
        let child_name = child_name("order", "1", &made_by);
        let mut metadata = json!({"name": "order", "namespace": "shop", "uid": "1"});
        metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut step = json!({
            "name": "tenant", "child": {"name": child_name, "uid": "2", "phase": "Running"},
        });
        step.as_object_mut().unwrap().extend(record.as_object().unwrap().clone());
        let steps = json!([
            {"name": "tenant", "saga": {"spec": {"steps": [{"name": "a", "wait": {"for": "1s"}}]}}},
        ]);
        let spec = json!({"deletionPolicy": "Abandon", "steps": steps});
        let parent = json!({
            "metadata": metadata, "spec": spec,
            "status": {"phase": "CompensationFailed", "steps": [step]},
        });
        let child = json!({
            "metadata": {"name": child_name, "namespace": "shop", "uid": "2"},
            "spec": {"steps": []}, "status": {"phase": "CompensationFailed"},
        });
        let answers = Arc::new(Mutex::new(Vec::new()));
        let (codes, held) = (Arc::clone(&answers), parent.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let mut codes = codes.lock().unwrap();
            let code = if *request.method() == Method::PATCH && !codes.is_empty() {
                codes.remove(0)
            } else {
                200
            };
            let failed = json!({
                "kind": "Status", "status": "Failure", "code": code, "reason": "", "message": "no",
            });
            let object = if request.uri().path().ends_with("/order") { &held } else { &child };
            let body = if code == 200 { object } else { &failed };
            let response = fixture::answer(code, body);
            std::future::ready(Ok::<_, Infallible>(response))
        });
        let (context, _announced) = fixture::context(Client::new(service, "default"), None);
        let parent: StoredSaga = serde_json::from_value(parent).unwrap();
        let named = SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() };
        let saga = validate_stored(&named, &parent.spec).unwrap();
        Self { context, parent, saga, made_by, answers }
    }

    /// One whose child is under way.
    fn under_way() -> Self {
        let active = json!({"startedAt": "2026-01-01T00:00:00.000000Z", "childUid": "2"});
        Self::of(
            &json!({}),
            &json!({
                "phase": "Running", "action": {"attempt": 1, "budgetUsed": 1, "active": active},
            }),
        )
    }

    /// One that is being deleted as it is, after the undo of its child was given up.
    fn given_up() -> Self {
        let metadata =
            json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["saga.dev/undo"]});
        Self::of(
            &metadata,
            &json!({
                "phase": "CompensationFailed", "action": {"attempt": 1, "budgetUsed": 1},
                "compensation": {"attempt": 3, "budgetUsed": 3},
            }),
        )
    }

    /// What a look shows of the child.
    async fn look(&self) -> Arc<ChildSaga> {
        let goes =
            self.parent.metadata.deletion_timestamp.as_ref().map(|_| self.parent.deletion_policy);
        let status = self.parent.status.as_ref().unwrap();
        let (children, _) = observed(&self.context, &self.saga, status, None, goes).await.unwrap();
        let Some(ChildState::Present(Present::Saga(child))) = children.get(&self.made_by) else {
            panic!("{children:?}")
        };
        Arc::clone(child)
    }

    /// Looks at the child and tells it something, which is answered so. Returns what it is known
    /// not to have heard, with the last word; `None` where it was not told.
    async fn tell(&self, command: &ChildCommand, code: u16) -> Option<(Vec<(String, bool)>, Next)> {
        self.look().await;
        *self.answers.lock().unwrap() = vec![code];
        let performance = fixture::performance(&self.context, &self.parent, &self.saga, "");
        let next = child_saga::ask(&performance, self.made_by.clone(), &self.made_by, command)
            .await
            .unwrap();
        let undelivered = self.look().await.undelivered.clone();
        let undelivered = undelivered
            .into_iter()
            .map(|undelivered| (undelivered.why, undelivered.refused))
            .collect();
        self.answers.lock().unwrap().is_empty().then_some((undelivered, next))
    }
}

const GO: ChildCommand =
    ChildCommand::Follow { suspend: false, deletion_policy: DeletionPolicy::Abandon };

#[tokio::test]
async fn a_child_that_may_have_come_of_a_lost_creation_is_looked_for_before_it_is_created_again() {
    let active = json!({"startedAt": "2026-01-01T00:00:00.000000Z"});
    let family = Family::of(
        &json!({}),
        &json!({"phase": "Running", "action": {"attempt": 1, "budgetUsed": 1, "active": active}}),
    );
    let key = AttemptKey::new("1", family.made_by.clone());
    family.context.memory.attempts.unanswered(&key);
    family.context.memory.attempts.refused(&key, "the API server answered 500: no".into());
    // It is there: whoever goes as it is can tell it so.
    assert_eq!(family.look().await.phase, Some(SagaPhase::CompensationFailed));
}

#[tokio::test]
async fn what_a_child_could_not_be_told_is_known_until_it_was_told() {
    let family = Family::under_way();
    let lost = vec![("the API server answered 500: no".to_owned(), false)];
    assert_eq!(family.tell(&GO, 500).await, Some((lost.clone(), Next::AtOnce)));
    assert_eq!(family.tell(&GO, 500).await, Some((lost.clone(), Next::Later)), "that is no news");
    assert_eq!(
        family.tell(&ChildCommand::Cancel, 200).await,
        Some((lost, Next::Later)),
        "it was told something else"
    );
    assert_eq!(family.tell(&GO, 200).await, Some((Vec::new(), Next::Later)));
    let (refused, _) = family.tell(&GO, 403).await.unwrap();
    assert!(matches!(refused.as_slice(), [(_, true)]), "{refused:?}");
}

#[tokio::test]
async fn a_child_that_no_attempt_follows_is_told_to_go_as_its_deleted_parent_and_nothing_else() {
    let family = Family::given_up();
    assert_eq!(
        family.look().await.phase,
        Some(crate::api::SagaPhase::CompensationFailed),
        "as a live read shows it"
    );
    assert_eq!(family.tell(&GO, 200).await, Some((Vec::new(), Next::Later)));
    assert_eq!(family.tell(&ChildCommand::Cancel, 200).await, None);
}
