//! The watches on sagas and their Pods, and the controller that they drive.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    runtime::{
        Config, Controller, WatchStreamExt,
        controller::Error as ControllerError,
        reflector::{self, ObjectRef, Store, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use tokio::sync::mpsc;

use super::{
    context::{Context, Queue},
    error::chain,
    reconcile::{error_policy, reconcile},
    wait,
};
use crate::{
    api::{
        SagaPhase, StoredSaga,
        names::{LABEL_MANAGED_BY, MANAGER},
    },
    objects::{pod, pod_state, pod_store},
};

/// Reconciles that run side by side.
const CONCURRENCY: u16 = 64;
/// Objects of one page when a list is read.
const PAGE: u32 = 100;
/// How often what this process remembers of ended sagas is forgotten.
const JANITOR: Duration = Duration::from_mins(1);

/// One namespace, or all of them.
pub(super) struct Watch {
    namespace: Option<String>,
    controller: Controller<StoredSaga>,
    sagas: Store<StoredSaga>,
    pods: Store<Pod>,
    writer: Writer<Pod>,
    pod_api: Api<Pod>,
    sender: mpsc::UnboundedSender<ObjectRef<StoredSaga>>,
    receiver: mpsc::UnboundedReceiver<ObjectRef<StoredSaga>>,
}

impl Watch {
    pub(super) fn new(client: &Client, namespace: Option<&String>) -> Self {
        let saga_api = scoped(client, namespace);
        let controller = Controller::new(saga_api, watcher::Config::default().page_size(PAGE));
        let (pods, writer) = reflector::store();
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            namespace: namespace.cloned(),
            sagas: controller.store(),
            controller,
            pods,
            writer,
            pod_api: match namespace {
                Some(namespace) => Api::namespaced(client.clone(), namespace),
                None => Api::all(client.clone()),
            },
            sender,
            receiver,
        }
    }

    pub(super) fn sagas(&self) -> Store<StoredSaga> {
        self.sagas.clone()
    }

    pub(super) fn pods(&self) -> Store<Pod> {
        self.pods.clone()
    }

    pub(super) fn queue(&self) -> Queue {
        Queue { namespace: self.namespace.clone(), sender: self.sender.clone() }
    }

    /// Runs until `stopped`, then until the reconciles under way have ended.
    pub(super) async fn run(self, context: Arc<Context>, stopped: tokio::sync::watch::Receiver<bool>) {
        let Self { controller, pods, writer, pod_api, receiver, .. } = self;
        let children = pod_stream(pod_api, writer, Arc::clone(&context));
        let announced = stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|saga| (saga, receiver)) });
        // Decisions rest on both caches: none is made before the Pods are there.
        let pods_ready = async move { pods.wait_until_ready().await.is_ok() };
        let pods_ready = futures::FutureExt::shared(futures::FutureExt::boxed(pods_ready));
        controller
            .with_config(Config::default().concurrency(CONCURRENCY))
            .owns_stream(children)
            .reconcile_on(announced)
            .graceful_shutdown_on(wait(stopped))
            .run(
                move |saga, context| {
                    let pods_ready = pods_ready.clone();
                    async move {
                        pods_ready.await;
                        reconcile(saga, context).await
                    }
                },
                |saga, _, context| error_policy(&saga, &context),
                context.clone(),
            )
            .for_each(|result| {
                if let Err(ControllerError::QueueError(error)) = &result {
                    context.metrics.watch_failed("Saga");
                    tracing::warn!(error = chain(error), "a watch failed and begins again");
                }
                std::future::ready(())
            })
            .await;
    }
}

fn scoped(client: &Client, namespace: Option<&String>) -> Api<StoredSaga> {
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// The Pods of all attempts: kept in the store stripped to what is read; of one that goes, the last state is noted first.
fn pod_stream(
    api: Api<Pod>,
    writer: Writer<Pod>,
    context: Arc<Context>,
) -> impl futures::Stream<Item = Result<Pod, watcher::Error>> + Send + 'static {
    let config = watcher::Config::default().labels(&format!("{LABEL_MANAGED_BY}={MANAGER}")).page_size(PAGE);
    let failures = Arc::clone(&context.metrics);
    watcher(api, config)
        .default_backoff()
        .modify(pod_store::strip)
        .inspect(move |event| match event {
            Ok(Event::Delete(pod)) => {
                if let Some(key) = pod::attempt_of(pod) {
                    context.attempts.child_gone(&key, pod.metadata.uid.as_deref().unwrap_or_default(), pod_state::gone(pod));
                }
            }
            Ok(Event::Apply(_) | Event::Init | Event::InitApply(_) | Event::InitDone) => {}
            Err(_) => failures.watch_failed("Pod"),
        })
        .reflect(writer)
        .touched_objects()
}

/// Forgets what this process remembers of sagas that ended or went.
pub(super) async fn janitor(context: &Context, sagas: &[Store<StoredSaga>]) {
    let mut every = tokio::time::interval(JANITOR);
    loop {
        every.tick().await;
        // A saga whose status cannot be read may have requests under way: forgetting them would send them again.
        let ended = |saga: &StoredSaga| saga.status.as_ref().is_ok_and(|status| status.phase.is_some_and(SagaPhase::is_terminal));
        let live: std::collections::HashSet<String> =
            sagas.iter().flat_map(Store::state).filter(|saga| !ended(saga)).filter_map(|saga| saga.metadata.uid.clone()).collect();
        context.writes.forget(|uid| live.contains(uid));
        context.attempts.forget(|uid| live.contains(uid));
        context.failures.forget(|uid| live.contains(uid));
    }
}
