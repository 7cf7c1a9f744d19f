//! The watches on sagas, their Pods and their Jobs, and the controller that they drive.
//!
//! # Guarantees
//! A watch event enqueues its saga only when the store shows the changed object. After a gap, a
//! list is read again, and the store shows it only when it is whole. Then every object in the list
//! is enqueued.

use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{batch::v1::Job, core::v1::Pod},
};
use kube::{
    Api, Client, Resource,
    runtime::{
        Config, Controller, WatchStreamExt,
        controller::Error as ControllerError,
        reflector::{self, ObjectRef, Store, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use tokio::sync::{mpsc, watch};

use super::{
    relist::{Listing, news},
    sync::{Filling, when_listed},
};
use crate::{
    api::{
        StoredSaga,
        names::{LABEL_MANAGED_BY, LABEL_SAGA, MANAGER},
    },
    controller::{
        cluster::{
            error::chain,
            watch_health::{Health, Watched},
        },
        context::Context,
        observe::parent,
        queue::Queue,
        reconcile::{error_policy, reconcile},
        run::wait,
    },
    model::observation::ChildState,
    objects::{attempt, child_saga, job, pod},
};

/// The number of reconciles that run at once.
const CONCURRENCY: u16 = 64;
/// The number of objects on one page of a list.
const PAGE: u32 = 100;

/// The watches of one namespace, or of all namespaces.
pub(crate) struct Watch {
    namespace: Option<String>,
    saga_api: Api<StoredSaga>,
    sagas: Store<StoredSaga>,
    saga_writer: Writer<StoredSaga>,
    pod_api: Api<Pod>,
    pods: Store<Pod>,
    pod_writer: Writer<Pod>,
    job_api: Api<Job>,
    jobs: Store<Job>,
    job_writer: Writer<Job>,
    /// Whether the sagas and the Pods were listed, in this order.
    listed: [watch::Sender<bool>; 2],
    sender: mpsc::UnboundedSender<ObjectRef<StoredSaga>>,
    receiver: mpsc::UnboundedReceiver<ObjectRef<StoredSaga>>,
}

impl Watch {
    pub(crate) fn new(client: &Client, namespace: Option<&String>) -> Self {
        let (sagas, saga_writer) = reflector::store();
        let (pods, pod_writer) = reflector::store();
        let (jobs, job_writer) = reflector::store();
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            namespace: namespace.cloned(),
            saga_api: scoped(client, namespace),
            sagas,
            saga_writer,
            pods,
            pod_writer,
            pod_api: scoped(client, namespace),
            jobs,
            job_writer,
            job_api: scoped(client, namespace),
            listed: Default::default(),
            sender,
            receiver,
        }
    }

    pub(crate) fn sagas(&self) -> Store<StoredSaga> {
        self.sagas.clone()
    }

    pub(crate) fn pods(&self) -> Store<Pod> {
        self.pods.clone()
    }

    pub(crate) fn jobs(&self) -> Store<Job> {
        self.jobs.clone()
    }

    pub(crate) fn filling(&self) -> Filling {
        let [sagas, pods] = &self.listed;
        Filling {
            namespace: self.namespace.clone(),
            sagas: sagas.subscribe(),
            pods: pods.subscribe(),
        }
    }

    pub(crate) fn queue(&self) -> Queue {
        Queue { namespace: self.namespace.clone(), sender: self.sender.clone() }
    }

    /// Runs the controller until `stopped`, then until the reconciles under way have ended.
    pub(crate) async fn run(self, context: Arc<Context>, stopped: watch::Receiver<bool>) {
        let Self {
            saga_api,
            sagas,
            saga_writer,
            pod_api,
            pod_writer,
            job_api,
            job_writer,
            listed,
            receiver,
            ..
        } = self;
        let [sagas_listed, pods_listed] = listed;
        let pods = pods_listed.subscribe();
        let objects = saga_stream(saga_api, saga_writer, sagas_listed, Arc::clone(&context));
        let children = pod_stream(pod_api, pod_writer, pods_listed, Arc::clone(&context));
        let jobs = job_stream(job_api, job_writer, Arc::clone(&context));
        let announced = stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|saga| (saga, receiver))
        });
        // Decisions rest on both caches, so none is made before the Pods are listed. A Job that is
        // missing from the cache is read live: an operator that may not read Jobs does everything
        // else.
        Controller::for_stream(objects, sagas)
            .with_config(Config::default().concurrency(CONCURRENCY))
            .owns_stream(children)
            .owns_stream(jobs)
            .reconcile_on(announced)
            .graceful_shutdown_on(wait(stopped))
            .run(
                move |saga, context| {
                    let mut pods = pods.clone();
                    async move {
                        // A watch ends only when the process stops. Then nothing new begins.
                        let _ = pods.wait_for(|listed| *listed).await;
                        reconcile(saga, context).await
                    }
                },
                |saga, _, context| error_policy(&saga, &context),
                context.clone(),
            )
            .for_each(|result| {
                if let Err(ControllerError::QueueError(error)) = &result {
                    tracing::warn!(error = chain(error), "the queue of sagas failed");
                }
                std::future::ready(())
            })
            .await;
    }
}

fn scoped<K>(client: &Client, namespace: Option<&String>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Returns the stream of all sagas. Errors end here: passed on, an error would hold up all other
/// streams for as long as its backoff.
fn saga_stream(
    api: Api<StoredSaga>,
    writer: Writer<StoredSaga>,
    listed: watch::Sender<bool>,
    context: Arc<Context>,
) -> impl Stream<Item = Result<StoredSaga, watcher::Error>> + Send + 'static {
    let (told, store, health) =
        (Arc::clone(&context), writer.as_reader(), Health::of(&api, Watched::Saga, &context));
    let events = watcher(api, watcher::Config::default().page_size(PAGE))
        .default_backoff()
        .inspect(move |event| health.note(event))
        .inspect(move |event| match event {
            // A changed or deleted child enqueues its parent. A list enqueues every saga in it.
            Ok(Event::Apply(saga) | Event::Delete(saga)) => {
                if let (Some(parent), Some(namespace)) =
                    (child_saga::parent(saga), &saga.metadata.namespace)
                {
                    context.announce(namespace, parent);
                }
            }
            Ok(Event::Init | Event::InitApply(_) | Event::InitDone) | Err(_) => {}
        })
        .reflect(writer)
        .inspect(when_listed(listed))
        // Only now: a child reads the cached copy of its parent.
        .inspect(move |event| {
            if let Ok(event) = event {
                tell_children(&told, event);
            }
        })
        // A deleted saga needs no reconcile.
        .filter(|event| std::future::ready(!matches!(event, Ok(Event::Delete(_)))));
    news(events, store)
}

/// Enqueues the children of a saga that removed their finalizers because of the saga, or will add
/// them again.
fn tell_children(context: &Context, event: &Event<StoredSaga>) {
    let (saga, gone) = match event {
        Event::Apply(saga) => (saga, false),
        Event::Delete(saga) => (saga, true),
        // The children are in the list too.
        Event::Init | Event::InitApply(_) | Event::InitDone => return,
    };
    for child in parent::children_to_tell(saga, gone) {
        context.announce(saga.metadata.namespace.as_deref().unwrap_or_default(), &child);
    }
}

/// Returns the stream of the Pods of all attempts. The store keeps them stripped to the fields that
/// are read. The last state of a deleted Pod is noted first. Errors end here, as for sagas.
fn pod_stream(
    api: Api<Pod>,
    writer: Writer<Pod>,
    listed: watch::Sender<bool>,
    context: Arc<Context>,
) -> impl Stream<Item = Result<Pod, watcher::Error>> + Send + 'static {
    let (store, health) = (writer.as_reader(), Health::of(&api, Watched::Pod, &context));
    let (mut listing, mut of_jobs) = (Listing::before(&writer), Vec::new());
    let (before, told) = (writer.as_reader(), Arc::clone(&context));
    let events = watcher(api, of_attempts())
        .default_backoff()
        .inspect(move |event| health.note(event))
        .modify(move |pod| {
            pod::strip::strip(pod);
            pod::strip::keep_success(pod, before.get(&ObjectRef::from_obj(pod)).as_deref());
        })
        .inspect(move |event| {
            if let Ok(event) = event {
                note_pod(&context, event, &mut of_jobs);
            }
            for pod in event.iter().flat_map(|event| listing.missing(event)) {
                context.families.lost(&pod);
                announce(&context, pod.as_ref());
            }
        })
        .reflect(writer)
        .inspect(when_listed(listed));
    tell_sagas(news(events, store), told)
}

/// Enqueues the saga that each child's label names, unless the child's controller already names
/// that saga. The controller is known without the label.
fn tell_sagas<K: Resource>(
    news: impl Stream<Item = Result<K, watcher::Error>> + Send + 'static,
    context: Arc<Context>,
) -> impl Stream<Item = Result<K, watcher::Error>> + Send + 'static {
    news.inspect(move |child| {
        let Ok(child) = child else { return };
        if saga_label(child)
            .is_some_and(|saga| attempt::saga_of(child).is_none_or(|owner| owner.name != *saga))
        {
            announce(&context, child);
        }
    })
}

/// Notes what one event of a Pod shows about its attempt.
///
/// `listed`: the pods of Jobs that an unfinished list has brought. If the list breaks off, none of
/// them is noted: nobody would report that they went.
fn note_pod(context: &Context, event: &Event<Pod>, listed: &mut Vec<Pod>) {
    match event {
        Event::Apply(pod) => context.families.saw(pod),
        Event::Delete(pod) if context.families.know(pod) => context.families.went(pod),
        Event::Delete(pod) => child_gone(context, pod, pod::state::gone(pod)),
        Event::Init => {
            listed.clear();
            context.families.gap();
        }
        Event::InitApply(pod) => listed.extend(context.families.know(pod).then(|| pod.clone())),
        Event::InitDone => std::mem::take(listed).iter().for_each(|pod| context.families.saw(pod)),
    }
}

/// Notes the end of a deleted child. A child that no longer names its attempt is found by its UID.
fn child_gone(context: &Context, child: &impl Resource, end: ChildState) {
    let uid = child.meta().uid.as_deref().unwrap_or_default();
    match attempt::attempt_of(child) {
        Some(key) => context.attempts.child_gone(&key, uid, end),
        None => context.attempts.orphan_gone(uid, end),
    }
}

/// Returns the stream of the Jobs of all attempts, like their Pods.
fn job_stream(
    api: Api<Job>,
    writer: Writer<Job>,
    context: Arc<Context>,
) -> impl Stream<Item = Result<Job, watcher::Error>> + Send + 'static {
    let (store, health) = (writer.as_reader(), Health::of(&api, Watched::Job, &context));
    let (mut listing, before, told) =
        (Listing::before(&writer), writer.as_reader(), Arc::clone(&context));
    let events = watcher(api, of_attempts())
        .default_backoff()
        .inspect(move |event| health.note(event))
        .modify(move |job| {
            job::strip::strip(job);
            job::strip::keep_end(job, before.get(&ObjectRef::from_obj(job)).as_deref());
        })
        .inspect(move |event| match event {
            Ok(Event::Delete(job)) => {
                context.families.job_went(job);
                child_gone(
                    &context,
                    job,
                    ChildState::Unknown {
                        message: "its Job was deleted".into(),
                        retry_after: None,
                    },
                );
            }
            Ok(event) => {
                listing.missing(event).iter().for_each(|job| announce(&context, job.as_ref()));
            }
            Err(_) => {}
        })
        .reflect(writer);
    tell_sagas(news(events, store), told)
}

/// Returns the watch configuration for the children of attempts.
fn of_attempts() -> watcher::Config {
    watcher::Config::default().labels(&format!("{LABEL_MANAGED_BY}={MANAGER}")).page_size(PAGE)
}

/// Enqueues the saga of a child.
fn announce(context: &Context, child: &impl Resource) {
    if let (Some(namespace), Some(saga)) = (&child.meta().namespace, saga_label(child)) {
        context.announce(namespace, saga);
    }
}

fn saga_label(child: &impl Resource) -> Option<&String> {
    child.meta().labels.as_ref()?.get(LABEL_SAGA)
}

#[cfg(test)]
mod tests;
