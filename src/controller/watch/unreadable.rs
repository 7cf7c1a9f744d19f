//! The objects of a watch that cannot be read: they are counted and named in the log, and the watch
//! goes on.
//!
//! # Guarantees
//! An object is counted and logged once for each of its versions. Somebody who changes such objects
//! again and again adds at most [`LINES`] warnings a minute to the log of one watch.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt};
use kube::{
    Resource,
    runtime::watcher::{self, Event},
};

use crate::{
    controller::cluster::watch_health::WatchedKind,
    objects::{
        stored::{InParts, StoredObject},
        unreadable::why_unreadable,
    },
    service::metrics::Metrics,
};

/// The most warnings a minute.
const LINES: u32 = 10;
/// The time in which [`LINES`] warnings are written.
const SPAN: Duration = Duration::from_mins(1);
/// The most objects whose version is remembered. Beyond them, all are forgotten, and may be logged
/// and counted once more.
const REMEMBERED: usize = 1000;

/// The versions of unreadable objects that were reported.
pub(super) struct UnreadableReporter {
    kind: WatchedKind,
    metrics: Arc<Metrics>,
    /// The last reported version of each object, by UID.
    reported: HashMap<String, String>,
    /// When the present span began, and how many objects were reported since.
    span: (Instant, u32),
}

impl UnreadableReporter {
    /// Creates the reporter of one watch.
    pub(super) fn new(kind: WatchedKind, metrics: &Arc<Metrics>) -> Self {
        let (metrics, span) = (Arc::clone(metrics), (Instant::now(), 0));
        Self { kind, metrics, reported: HashMap::new(), span }
    }

    /// Counts and logs an object that cannot be read, unless this version was reported.
    fn note(&mut self, object: &impl Resource) {
        let Some(why) = why_unreadable(object) else { return };
        let meta = object.meta();
        let (uid, version) = (
            meta.uid.clone().unwrap_or_default(),
            meta.resource_version.clone().unwrap_or_default(),
        );
        if self.reported.len() >= REMEMBERED {
            self.reported.clear();
        }
        if self.reported.insert(uid, version.clone()).is_some_and(|before| before == version) {
            return;
        }
        let kind = self.kind.as_str();
        self.metrics.unreadable_met(kind);
        if self.span.0.elapsed() >= SPAN {
            self.span = (Instant::now(), 0);
        }
        self.span.1 = self.span.1.saturating_add(1);
        if self.span.1 > LINES {
            return;
        }
        tracing::warn!(
            kind,
            namespace = meta.namespace,
            name = meta.name,
            version,
            why,
            "an object cannot be read and is passed over; if it belongs to a step, the step is \
             awaited until its time limit"
        );
    }
}

/// Returns the events with the objects of the cluster. An object that cannot be read stays in its
/// event with the mark of an unreadable object, so that its absence is never concluded.
pub(super) fn read<K: InParts>(
    events: impl Stream<Item = Result<Event<StoredObject<K>>, watcher::Error>> + Send + 'static,
    mut reporter: UnreadableReporter,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static {
    let mut object = move |StoredObject(object): StoredObject<K>| {
        reporter.note(&object);
        object
    };
    events.map(move |event| {
        Ok(match event? {
            Event::Init => Event::Init,
            Event::InitApply(stored) => Event::InitApply(object(stored)),
            Event::InitDone => Event::InitDone,
            Event::Apply(stored) => Event::Apply(object(stored)),
            Event::Delete(stored) => Event::Delete(object(stored)),
        })
    })
}
