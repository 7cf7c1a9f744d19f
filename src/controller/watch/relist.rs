//! What a list brings that is read again after a gap in the watch.
//!
//! # Guarantees
//! The store shows a list when it is whole: what is in it is handed on then, and what is not in it
//! any more is named.

use std::{collections::HashSet, sync::Arc};

use futures::{Stream, StreamExt, stream};
use kube::{
    Resource, ResourceExt,
    runtime::{
        reflector::{Store, store::Writer},
        watcher::{self, Event},
    },
};

/// The objects that there is news of, each once it stands in the store as it is brought: after the
/// end of a list, everything in the store. `events`: those that were reflected to it.
pub(crate) fn news<K>(
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

/// A list that is read again after a gap in the watch. What went during the gap is just not in it:
/// no event tells.
pub(crate) struct Listing<K: Resource<DynamicType = ()> + 'static> {
    before: Store<K>,
    listed: HashSet<Option<String>>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Listing<K> {
    /// Of what this writer brings.
    pub(crate) fn before(writer: &Writer<K>) -> Self {
        Self { before: writer.as_reader(), listed: HashSet::new() }
    }

    /// The children that a list which ends with this event does not hold any more.
    pub(crate) fn missing(&mut self, event: &Event<K>) -> Vec<Arc<K>> {
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
