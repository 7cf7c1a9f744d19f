//! The objects that a list brings when it is read again after a gap in the watch.
//!
//! # Guarantees
//! The store shows a list only when it is whole. Only then is its content passed on, and the
//! objects that are no longer in it are named.

use std::{collections::HashSet, sync::Arc};

use futures::{Stream, StreamExt, stream};
use kube::{
    Resource, ResourceExt,
    runtime::{
        reflector::{Store, store::Writer},
        watcher::{self, Event},
    },
};

/// The number of objects on one page of a list.
///
/// A page is in memory as a whole while it is read: as the frames that arrived and as one body,
/// then as text beside the objects that are made of it. etcd stores objects of up to 1.5 MiB, and
/// any user may create sagas and Pods of that size. So 20 objects are up to 30 MiB and take up to
/// twice that. The three watches list at the same time, which makes up to 180 MiB; pages of 100
/// objects would take 900 MiB, and the chart's memory limit is 512 MiB. Small objects cost five
/// times as many calls at the start: 500 calls for 10,000 sagas.
pub(super) const PAGE: u32 = 20;
/// The largest object that etcd stores by default, in bytes.
const MAX_STORED: usize = 1536 * 1024;
// Three lists, each of which is in memory twice, fit into less than half of the memory limit.
const _: () = assert!(3 * 2 * PAGE as usize * MAX_STORED < 256 * 1024 * 1024);

/// Returns the objects that changed, each once the store holds it. At the end of a list, returns
/// every object in the store. `events`: the events that are reflected to the store.
pub(in crate::controller) fn news<K>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
    store: Store<K>,
) -> impl Stream<Item = Result<K, watcher::Error>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    events.flat_map(move |event| {
        let objects = match event {
            Ok(Event::Apply(object) | Event::Delete(object)) => vec![Arc::new(object)],
            Ok(Event::InitDone) => store.state(),
            Ok(Event::Init | Event::InitApply(_)) | Err(_) => Vec::new(),
        };
        stream::iter(objects.into_iter().map(Arc::unwrap_or_clone).map(Ok))
    })
}

/// A list that is read again after a gap in the watch. Objects that were deleted during the gap are
/// missing from the list, and no event shows their deletion.
pub(in crate::controller) struct Listing<K: Resource<DynamicType = ()> + 'static> {
    before: Store<K>,
    listed: HashSet<Option<String>>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Listing<K> {
    /// Creates the comparison for the store that this writer fills.
    pub(in crate::controller) fn before(writer: &Writer<K>) -> Self {
        Self { before: writer.as_reader(), listed: HashSet::new() }
    }

    /// Returns the children that the store holds and a list that ends with this event does not.
    pub(in crate::controller) fn missing(&mut self, event: &Event<K>) -> Vec<Arc<K>> {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(child) => {
                self.listed.insert(child.uid());
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                return self.before.state_filter(|child| !listed.contains(&child.uid()));
            }
            Event::Apply(_) | Event::Delete(_) => {}
        }
        Vec::new()
    }
}
