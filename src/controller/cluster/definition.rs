//! The fields of the status that the served definition (the CRD of sagas) drops or refuses,
//! although this operator writes them.
//!
//! # Guarantees
//! What is known rests on the `OpenAPI` schema that the API server publishes, which every account
//! may read. The operator reads the schema before the first saga, periodically, and as soon as the
//! answer to a write lacks a field. The operator logs the result when it is first known and
//! whenever it changes. After a change, the sagas that waited for another definition are enqueued.
//!
//! # Caveats
//! A definition that cannot be read counts as complete. If it drops a field nevertheless, the
//! operator writes that field again and again.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::Client;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::error::chain;
use crate::{
    api::{GROUP, RELEASE, VERSION},
    model::versions::Served,
};

/// How often the definition is read.
const AGAIN: Duration = Duration::from_mins(10);
/// How often the definition is read while it lacks something, because a user is expected to apply
/// another one.
const AGAIN_LACKING: Duration = Duration::from_secs(10);
/// The least time between the last read and a read that the answer to a write causes.
const DOUBTED_AGAIN: Duration = Duration::from_secs(1);

/// The served definition as last read.
pub struct Definition {
    client: Client,
    known: Mutex<LastRead>,
}

#[derive(Default)]
struct LastRead {
    served: Option<Arc<Served>>,
    /// Whether the definition was ever read.
    seen: bool,
    looked: Option<Instant>,
}

impl Definition {
    /// Creates an empty record. Nothing is known until [`Self::look`] receives an answer.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    /// Returns the served definition if it lacks something, or `None` if it lacks nothing or was
    /// never read.
    #[must_use]
    pub fn served(&self) -> Option<Arc<Served>> {
        self.lock().served.clone()
    }

    /// Reads the definition once. If the read fails, the known definition stays. Returns whether
    /// the definition changed; the first successful read counts as a change.
    pub async fn look(&self) -> bool {
        self.lock().looked = Some(Instant::now());
        let served = match self.read().await {
            Ok(served) => served.map(Arc::new),
            Err(error) => {
                tracing::warn!(error = chain(&error), "cannot read the served definition of sagas");
                return false;
            }
        };
        let mut known = self.lock();
        let changed = !known.seen || known.served != served;
        known.seen = true;
        known.served.clone_from(&served);
        drop(known);
        if changed {
            tell(served.as_deref());
        }
        changed
    }

    /// Reads the definition because the answer to a write lacks a field, unless the last read began
    /// less than a second ago. Returns whether the definition changed.
    pub async fn doubt(&self) -> bool {
        let recent = self.lock().looked.is_some_and(|looked| looked.elapsed() < DOUBTED_AGAIN);
        !recent && self.look().await
    }

    /// Reads the definition periodically and calls `changed` after each change. Never returns.
    pub async fn keep(&self, changed: impl Fn()) {
        loop {
            sleep(AGAIN_LACKING).await;
            let recent = self.lock().looked.is_some_and(|looked| looked.elapsed() < AGAIN);
            if (self.served().is_some() || !recent) && self.look().await {
                changed();
            }
        }
    }

    async fn read(&self) -> Result<Option<Served>, kube::Error> {
        let request =
            http::Request::get(format!("/openapi/v3/apis/{GROUP}/{VERSION}")).body(Vec::new());
        let published: Value =
            self.client.request(request.map_err(kube::Error::HttpError)?).await?;
        let status = status_of(&published);
        if status.is_none() {
            tracing::warn!("the API server publishes no definition of sagas with a status");
        }
        Ok(status.and_then(Served::new))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LastRead> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the schema of the status of sagas from the published schema of the group.
fn status_of(published: &Value) -> Option<&Value> {
    let schemas = published.pointer("/components/schemas")?.as_object()?;
    let is_saga = |schema: &&Value| {
        let kinds = schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
        let of_saga = |kind: &Value| {
            kind.get("kind").and_then(Value::as_str) == Some("Saga")
                && kind.get("version") == Some(&VERSION.into())
        };
        kinds.is_some_and(|kinds| kinds.iter().any(of_saga))
    };
    schemas.values().find(is_saga)?.pointer("/properties/status")
}

fn tell(served: Option<&Served>) {
    match served {
        None => tracing::info!(
            version = RELEASE,
            "the served definition of sagas has all fields that this operator writes"
        ),
        Some(served) => tracing::warn!(
            version = RELEASE,
            lacks = served.lacks().join(", "),
            "the served definition of sagas is older than this operator, and a saga that needs a \
             missing field is not accepted: apply the definition of the operator's version \
             (crds/sagas.yaml, or the output of saga-operator crd)"
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::convert::Infallible;

    use http::Request;
    use kube::client::Body;
    use serde_json::json;

    use super::*;
    use crate::{api::crd, controller::context::fixture};

    /// Returns what an API server publishes if it serves the definition of this version with
    /// `change` applied.
    fn published(change: impl Fn(&mut Value)) -> Value {
        let definition = serde_json::to_value(crd::definition().unwrap()).unwrap();
        let mut schema =
            definition.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap().clone();
        schema["x-kubernetes-group-version-kind"] =
            json!([{"group": GROUP, "version": VERSION, "kind": "Saga"}]);
        change(&mut schema["properties"]["status"]["properties"]);
        json!({
            "components": {
                "schemas": {"dev.saga.v1alpha1.Saga": schema, "dev.saga.v1alpha1.SagaList": {}},
            },
        })
    }

    fn definition(answers: &Arc<Mutex<(u16, Value)>>) -> Definition {
        let answers = Arc::clone(answers);
        let serve = tower::service_fn(move |request: Request<Body>| {
            assert_eq!(request.uri().path(), "/openapi/v3/apis/saga.dev/v1alpha1");
            let (code, body) = answers.lock().unwrap().clone();
            std::future::ready(Ok::<_, Infallible>(fixture::answer(code, &body)))
        });
        Definition::new(Client::new(serve, "default"))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_served_is_compared_with_what_is_written() {
        let answers = Arc::new(Mutex::new((200, published(|_| ()))));
        let definition = definition(&answers);
        assert!(
            definition.look().await && definition.served().is_none() && !definition.look().await
        );
        let old =
            published(|status| drop(status.as_object_mut().unwrap().remove("clockStoppedAt")));
        *answers.lock().unwrap() = (200, old);
        assert!(definition.look().await);
        assert_eq!(definition.served().unwrap().lacks(), ["status.clockStoppedAt"]);
        *answers.lock().unwrap() = (
            403,
            json!({
                "kind": "Status", "code": 403, "reason": "Forbidden", "message": "no",
                "status": "Failure",
            }),
        );
        assert!(!definition.look().await && definition.served().is_some(), "what was known stays");
        *answers.lock().unwrap() = (200, published(|_| ()));
        assert!(!definition.doubt().await, "it was looked for just now");
        tokio::time::advance(DOUBTED_AGAIN).await;
        assert!(definition.doubt().await && definition.served().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_definition_that_lacks_something_is_soon_looked_for_again() {
        let old =
            published(|status| drop(status.as_object_mut().unwrap().remove("clockStoppedAt")));
        let answers = Arc::new(Mutex::new((200, old)));
        let definition = definition(&answers);
        let told = std::sync::atomic::AtomicUsize::new(0);
        let tell = || _ = told.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let keep = definition.keep(tell);
        tokio::pin!(keep);
        // `keep` starts before the definition was read for the first time.
        tokio::time::timeout(AGAIN_LACKING + Duration::from_secs(1), &mut keep).await.unwrap_err();
        assert!(definition.served().is_some());
        *answers.lock().unwrap() = (200, published(|_| ()));
        tokio::time::timeout(AGAIN_LACKING, &mut keep).await.unwrap_err();
        assert!(
            definition.served().is_none() && told.load(std::sync::atomic::Ordering::SeqCst) == 2
        );
    }
}
