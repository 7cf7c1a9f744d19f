//! The watches on sagas, their Pods and their Jobs, and the controller that they drive.
//!
//! # Guarantees
//! What a watch brings makes its saga be looked at once it can be seen in the store, and not
//! before. A list that is read again after a gap is seen when it is whole: only then, and then for
//! everything in it.

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

/// Reconciles that run side by side.
const CONCURRENCY: u16 = 64;
/// Objects of one page when a list is read.
const PAGE: u32 = 100;

/// One namespace, or all of them.
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
    /// Whether the sagas were listed, and the Pods.
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

    /// Runs until `stopped`, then until the reconciles under way have ended.
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
        // Decisions rest on both caches: none is made before the Pods are there. A Job that is not
        // there yet is read live: an operator that may not see Jobs does everything else.
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
                        // A watch that ended was told to: nothing new begins.
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

/// All sagas. An error ends here: passed on, it would hold up what all other streams bring for as
/// long as its backoff.
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
            // A child that changed or went makes its parent look. A list makes all look that are in
            // it.
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
        // Only now: a child looks at the copy of its parent.
        .inspect(move |event| {
            if let Ok(event) = event {
                tell_children(&told, event);
            }
        })
        // Of one that went there is nothing to look at.
        .filter(|event| std::future::ready(!matches!(event, Ok(Event::Delete(_)))));
    news(events, store)
}

/// Makes the children of a saga be looked at that let go of them, or takes hold of them again.
fn tell_children(context: &Context, event: &Event<StoredSaga>) {
    let (saga, gone) = match event {
        Event::Apply(saga) => (saga, false),
        Event::Delete(saga) => (saga, true),
        // Its children are in the list, too.
        Event::Init | Event::InitApply(_) | Event::InitDone => return,
    };
    for child in parent::children_to_tell(saga, gone) {
        context.announce(saga.metadata.namespace.as_deref().unwrap_or_default(), &child);
    }
}

/// The Pods of all attempts: kept in the store stripped to what is read; of one that goes, the last
/// state is noted first. Errors end here, as those of sagas.
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

/// Makes the saga of each child be looked at by the child's label. Where its controller is that
/// saga, this is known without.
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

/// What one event of a Pod tells of its attempt.
///
/// `listed`: the pods of Jobs that a list brought which is not whole yet. One that breaks off tells
/// of none: nobody would tell that they went.
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

/// Notes how a child that went has ended. One that does not say whose it is any more is known by
/// its UID.
fn child_gone(context: &Context, child: &impl Resource, end: ChildState) {
    let uid = child.meta().uid.as_deref().unwrap_or_default();
    match attempt::attempt_of(child) {
        Some(key) => context.attempts.child_gone(&key, uid, end),
        None => context.attempts.orphan_gone(uid, end),
    }
}

/// The Jobs of all attempts, as their Pods.
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

/// The children of attempts.
fn of_attempts() -> watcher::Config {
    watcher::Config::default().labels(&format!("{LABEL_MANAGED_BY}={MANAGER}")).page_size(PAGE)
}

/// Makes the saga of a child be looked at.
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
