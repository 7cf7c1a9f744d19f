//! The floor: a controller that runs chains of steps with the minimum number and size of calls. The
//! costs of another controller are multiples of the costs of the floor. Both are measured in the
//! same run, so that the speed of the machine does not matter.
//!
//! | a step that is | costs |
//! |---|---|
//! | a pod | one create after the step before has ended, one merge patch of the status at its end |
//! | a request | the HTTP request, and one merge patch of the status |
//!
//! The floor handles each object once. It records nothing before it acts, retries nothing,
//! compensates nothing, and stops at the first error. The difference between another controller and
//! the floor is the cost of these features.
//!
//! The floor uses `KUBECONFIG`. It works on the resource `chains.saga.dev` of `cluster.yaml`, in
//! all namespaces.
#![allow(clippy::indexing_slicing, reason = "indexes into JSON values do not panic")]

use std::{
    collections::{BTreeMap, HashSet},
    error::Error,
    sync::Arc,
};

use futures::{StreamExt, stream::select};
use http::{Method, Request, header};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{
    Api, Client, CustomResource, Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::watcher::{Config, Event, watcher},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

/// The maximum number of objects that are handled at the same time.
const AT_ONCE: usize = 64;
/// The labels of a pod: its chain, the number of its step, and the number of steps of the chain.
const LABELS: [&str; 3] = ["bench.saga.dev/chain", "bench.saga.dev/step", "bench.saga.dev/of"];
/// The content type of the smallest answer of the API server.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A chain of equal steps.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize)]
#[kube(group = "saga.dev", version = "v1", kind = "Chain", namespaced, schema = "disabled")]
struct ChainSpec {
    steps: u32,
    /// The URL for the HTTP requests: `<url>/<chain>/s<step>`. If there is none, the steps are
    /// pods.
    url: Option<String>,
}

/// An event that continues a chain.
enum Moved {
    Created(Box<Chain>),
    Ended(Box<PartialObjectMeta<Pod>>),
}

impl Moved {
    fn uid(&self) -> Option<String> {
        match self {
            Self::Created(chain) => chain.uid(),
            Self::Ended(pod) => pod.uid(),
        }
    }
}

struct Floor {
    client: Client,
    http: reqwest::Client,
    permits: Semaphore,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let client = Client::try_default().await?;
    let ended = Config::default().labels(LABELS[0]).fields("status.phase=Succeeded");
    let chains = watcher(Api::<Chain>::all(client.clone()), Config::default());
    let pods = watcher(Api::<PartialObjectMeta<Pod>>::all(client.clone()), ended);
    let created = chains.map(|event| {
        event.map(|event| applied(event).map(|chain| Moved::Created(Box::new(chain))))
    });
    let ended =
        pods.map(|event| event.map(|event| applied(event).map(|pod| Moved::Ended(Box::new(pod)))));
    let mut changes = select(created.boxed(), ended.boxed());
    let http = reqwest::Client::builder().no_proxy().build()?;
    let floor = Arc::new(Floor { client, http, permits: Semaphore::new(AT_ONCE) });
    let (mut tasks, mut known) = (JoinSet::new(), HashSet::new());
    loop {
        tokio::select! {
            moved = changes.next() => if let Some(moved) = moved.transpose()?.flatten() {
                // Each object is handled once. Later changes, such as a deletion, have no effect.
                if known.insert(moved.uid()) {
                    let floor = Arc::clone(&floor);
                    tasks.spawn(async move { floor.advance(moved).await });
                }
            },
            Some(done) = tasks.join_next() => done??,
        }
    }
}

/// Returns the object of an event if the object exists.
fn applied<K>(event: Event<K>) -> Option<K> {
    match event {
        Event::Apply(object) | Event::InitApply(object) => Some(object),
        Event::Delete(_) | Event::Init | Event::InitDone => None,
    }
}

impl Floor {
    async fn advance(&self, moved: Moved) -> Outcome<()> {
        let _permit = self.permits.acquire().await?;
        match moved {
            Moved::Created(chain) => self.begin(&chain).await,
            Moved::Ended(pod) => self.follow(&pod).await,
        }
    }

    async fn begin(&self, chain: &Chain) -> Outcome<()> {
        let (namespace, name) = (chain.namespace().unwrap_or_default(), chain.name_any());
        let Some(url) = &chain.spec.url else {
            let owner = chain.owner_ref(&()).ok_or("a chain without a UID")?;
            return self.create_pod(&namespace, &owner, 1, chain.spec.steps).await;
        };
        for step in 1..=chain.spec.steps {
            self.http
                .post(format!("{url}/{name}/s{step}"))
                .send()
                .await?
                .error_for_status()?
                .bytes()
                .await?;
            self.note(&namespace, &name, step, chain.spec.steps).await?;
        }
        Ok(())
    }

    /// Handles the end of a pod: creates the pod of the next step, and records the end in the
    /// status.
    async fn follow(&self, pod: &PartialObjectMeta<Pod>) -> Outcome<()> {
        let namespace = pod.namespace().unwrap_or_default();
        let number = |label: &str| -> Outcome<u32> {
            Ok(pod.labels().get(label).ok_or("a pod without its labels")?.parse()?)
        };
        let (step, of) = (number(LABELS[1])?, number(LABELS[2])?);
        let owner = pod.owner_references().first().ok_or("a pod without its chain")?;
        if step < of {
            self.create_pod(&namespace, owner, step + 1, of).await?;
        }
        self.note(&namespace, &owner.name, step, of).await
    }

    async fn create_pod(
        &self,
        namespace: &str,
        owner: &OwnerReference,
        step: u32,
        of: u32,
    ) -> Outcome<()> {
        let labels: BTreeMap<_, _> = LABELS
            .into_iter()
            .zip([owner.name.clone(), step.to_string(), of.to_string()])
            .collect();
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": format!("{}-s{step}", owner.name), "labels": labels,
                "ownerReferences": [owner],
            },
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "containers": [{
                    "name": "main", "image": "saga.dev/examples/busybox:1", "command": ["true"],
                }],
            },
        });
        self.call(
            Method::POST,
            &format!("/api/v1/namespaces/{namespace}/pods"),
            "application/json",
            &pod,
        )
        .await
    }

    async fn note(&self, namespace: &str, chain: &str, step: u32, of: u32) -> Outcome<()> {
        let status = json!({
            "status": {"step": step, "phase": if step == of { "Completed" } else { "Running" }},
        });
        let path = format!("/apis/saga.dev/v1/namespaces/{namespace}/chains/{chain}/status");
        self.call(Method::PATCH, &path, "application/merge-patch+json", &status).await
    }

    async fn call(&self, method: Method, path: &str, content: &str, body: &Value) -> Outcome<()> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, METADATA_ONLY)
            .header(header::CONTENT_TYPE, content);
        self.client.request_text(request.body(serde_json::to_vec(body)?)?).await?;
        Ok(())
    }
}
