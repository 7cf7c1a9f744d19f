//! The streams of the Pods and Jobs of attempts, and what each event of them says of its attempt.

use futures::{Stream, StreamExt};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, Resource,
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use tokio::sync::watch;

use super::{
    listeners::{Listeners, reporter},
    relist::{Listing, PAGE, news},
    sync::when_listed,
    unreadable::{UnreadableReporter, read},
};
use crate::{
    api::names::{LABEL_MANAGED_BY, LABEL_SAGA, MANAGER},
    controller::{
        cluster::watch_health::WatchedKind,
        memory::{attempt::AttemptKey, memories::Memory},
        queue::{Queue, SagaRef},
    },
    model::observation::End,
    objects::{attempt, job, pod, stored::StoredObject},
};

/// Returns the stream of the Pods of all attempts. The store keeps them stripped to the fields that
/// are read. Of a Pod that cannot be read, it keeps the metadata. The last state of a deleted Pod
/// is noted first. Errors end here, as for sagas.
pub(super) fn pod_stream(
    api: Api<StoredObject<Pod>>,
    writer: Writer<Pod>,
    listed: watch::Sender<bool>,
    listeners: Listeners,
) -> impl Stream<Item = Result<Pod, watcher::Error>> + Send + 'static {
    let (store, reporter) = (writer.as_reader(), reporter(&listeners, &api, WatchedKind::Pod));
    let (mut listing, mut of_jobs) = (Listing::before(&writer), Vec::new());
    let (before, queue) = (writer.as_reader(), listeners.queue.clone());
    let unreadable = UnreadableReporter::new(WatchedKind::Pod, &listeners.metrics);
    let events =
        watcher(api, of_attempts()).default_backoff().inspect(move |event| reporter.note(event));
    let events = read(events, unreadable)
        .modify(move |pod| {
            pod::strip::strip(pod);
            pod::strip::keep_success(pod, before.get(&ObjectRef::from_obj(pod)).as_deref());
        })
        .inspect(move |event| {
            if let Ok(event) = event {
                note_pod(&listeners.memory, event, &mut of_jobs);
            }
            for pod in event.iter().flat_map(|event| listing.missing(event)) {
                listeners.memory.job_pods.lost(&pod);
                enqueue(&listeners.queue, pod.as_ref());
            }
        })
        .reflect(writer)
        .inspect(when_listed(listed));
    enqueue_by_label(news(events, store), queue)
}

/// Enqueues the saga that each child's label names, unless the child's controller already names
/// that saga. The controller is known without the label.
fn enqueue_by_label<K: Resource>(
    news: impl Stream<Item = Result<K, watcher::Error>> + Send + 'static,
    queue: Queue,
) -> impl Stream<Item = Result<K, watcher::Error>> + Send + 'static {
    news.inspect(move |child| {
        let Ok(child) = child else { return };
        if saga_label(child)
            .is_some_and(|saga| attempt::saga_of(child).is_none_or(|owner| owner.name != *saga))
        {
            enqueue(&queue, child);
        }
    })
}

/// Notes what one event of a Pod shows about its attempt.
///
/// `listed`: the pods of Jobs that an unfinished list has brought. If the list breaks off, none of
/// them is noted: nobody would report that they went.
fn note_pod(memory: &Memory, event: &Event<Pod>, listed: &mut Vec<Pod>) {
    match event {
        Event::Apply(pod) => memory.job_pods.saw(pod),
        Event::Delete(pod) if memory.job_pods.know(pod) => memory.job_pods.went(pod),
        Event::Delete(pod) => child_gone(memory, pod, pod::state::gone(pod)),
        Event::Init => {
            listed.clear();
            memory.job_pods.gap();
        }
        Event::InitApply(pod) => listed.extend(memory.job_pods.know(pod).then(|| pod.clone())),
        Event::InitDone => std::mem::take(listed).iter().for_each(|pod| memory.job_pods.saw(pod)),
    }
}

/// Notes the end of a deleted child. A child that no longer names its attempt is found by its UID.
fn child_gone(memory: &Memory, child: &impl Resource, end: End) {
    let uid = child.meta().uid.as_deref().unwrap_or_default();
    match attempt::attempt_of(child) {
        Some((saga_uid, attempt)) => {
            memory.attempts.child_gone(&AttemptKey { saga_uid, attempt }, uid, end);
        }
        None => memory.attempts.orphan_gone(uid, end),
    }
}

/// Returns the stream of the Jobs of all attempts, like their Pods.
pub(super) fn job_stream(
    api: Api<StoredObject<Job>>,
    writer: Writer<Job>,
    listeners: Listeners,
) -> impl Stream<Item = Result<Job, watcher::Error>> + Send + 'static {
    let (store, reporter) = (writer.as_reader(), reporter(&listeners, &api, WatchedKind::Job));
    let (mut listing, before, queue) =
        (Listing::before(&writer), writer.as_reader(), listeners.queue.clone());
    let unreadable = UnreadableReporter::new(WatchedKind::Job, &listeners.metrics);
    let events =
        watcher(api, of_attempts()).default_backoff().inspect(move |event| reporter.note(event));
    let events = read(events, unreadable)
        .modify(move |job| {
            job::strip::strip(job);
            job::strip::keep_end(job, before.get(&ObjectRef::from_obj(job)).as_deref());
        })
        .inspect(move |event| match event {
            Ok(Event::Delete(job)) => {
                listeners.memory.job_pods.job_went(job);
                child_gone(
                    &listeners.memory,
                    job,
                    End::Unknown { message: "its Job was deleted".into(), retry_after: None },
                );
            }
            Ok(event) => {
                for job in listing.missing(event) {
                    enqueue(&listeners.queue, job.as_ref());
                }
            }
            Err(_) => {}
        })
        .reflect(writer);
    enqueue_by_label(news(events, store), queue)
}

/// Returns the watch configuration for the children of attempts.
fn of_attempts() -> watcher::Config {
    watcher::Config::default().labels(&format!("{LABEL_MANAGED_BY}={MANAGER}")).page_size(PAGE)
}

/// Enqueues the saga of a child.
fn enqueue(queue: &Queue, child: &impl Resource) {
    if let (Some(namespace), Some(saga)) = (&child.meta().namespace, saga_label(child)) {
        queue.enqueue(&SagaRef::new(namespace, saga));
    }
}

fn saga_label(child: &impl Resource) -> Option<&String> {
    child.meta().labels.as_ref()?.get(LABEL_SAGA)
}

#[cfg(test)]
mod tests;
