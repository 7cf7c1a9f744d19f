//! The stream of sagas, and the parents and children that a changed saga enqueues.

use futures::{Stream, StreamExt};
use kube::{
    Api,
    runtime::{
        WatchStreamExt,
        reflector::store::Writer,
        watcher::{self, Event, watcher},
    },
};
use tokio::sync::watch;

use super::{
    listeners::{Listeners, reporter},
    relist::{PAGE, news},
    sync::when_listed,
};
use crate::{
    api::{StoredSaga, stored::namespace},
    controller::{
        cluster::watch_health::WatchedKind,
        observe::parent,
        queue::{Queue, SagaRef},
    },
    objects::child_saga,
};

/// Returns the stream of all sagas. Errors end here: passed on, an error would hold up all other
/// streams for as long as its backoff.
pub(super) fn saga_stream(
    api: Api<StoredSaga>,
    writer: Writer<StoredSaga>,
    listed: watch::Sender<bool>,
    listeners: Listeners,
) -> impl Stream<Item = Result<StoredSaga, watcher::Error>> + Send + 'static {
    let (store, reporter) = (writer.as_reader(), reporter(&listeners, &api, WatchedKind::Saga));
    let (parents, children) = (listeners.queue.clone(), listeners.queue);
    let events = watcher(api, watcher::Config::default().page_size(PAGE))
        .default_backoff()
        .inspect(move |event| reporter.note(event))
        .inspect(move |event| match event {
            // A changed or deleted child enqueues its parent. A list enqueues every saga in it.
            Ok(Event::Apply(saga) | Event::Delete(saga)) => {
                if let (Some(parent), Some(namespace)) =
                    (child_saga::parent(saga), &saga.metadata.namespace)
                {
                    parents.enqueue(&SagaRef::new(namespace, parent));
                }
            }
            Ok(Event::Init | Event::InitApply(_) | Event::InitDone) | Err(_) => {}
        })
        .reflect(writer)
        .inspect(when_listed(listed))
        // Only now: a child reads the cached copy of its parent.
        .inspect(move |event| {
            if let Ok(event) = event {
                enqueue_children(&children, event);
            }
        })
        // A deleted saga needs no reconcile.
        .filter(|event| std::future::ready(!matches!(event, Ok(Event::Delete(_)))));
    news(events, store)
}

/// Enqueues the children of a saga that removed their finalizers because of the saga, or will add
/// them again.
fn enqueue_children(queue: &Queue, event: &Event<StoredSaga>) {
    let (saga, children) = match event {
        Event::Apply(saga) => (saga, parent::children_of_changed(saga)),
        Event::Delete(saga) => (saga, parent::children_of_deleted(saga)),
        // The children are in the list too.
        Event::Init | Event::InitApply(_) | Event::InitDone => return,
    };
    for child in children {
        queue.enqueue(&SagaRef::new(namespace(saga), &child));
    }
}
