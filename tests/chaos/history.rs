//! Records every version of a saga and of its children.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt as _, TryStreamExt as _};
use kube::{
    ResourceExt as _,
    api::{WatchEvent, WatchParams},
};
use saga_operator::api::Saga;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    process::POLL,
    stand::{PATIENCE, Stand},
};

/// The history of a saga, recorded by its own watch. Dropping the history ends the watch.
pub struct History {
    name: String,
    kept: Arc<Mutex<Kept>>,
    watch: JoinHandle<()>,
}

#[derive(Default)]
struct Kept {
    versions: Vec<Saga>,
    /// Whether the saga itself is deleted.
    gone: bool,
}

impl History {
    /// Records the history from this version of the saga on.
    pub fn from(stand: &Stand, saga: &Saga) -> Self {
        let (sagas, name) = (stand.sagas(), saga.name_any());
        let (kept, version) =
            (Arc::new(Mutex::new(Kept::default())), saga.resource_version().unwrap());
        keeps(&kept).versions.push(saga.clone());
        let (keeper, of) = (Arc::clone(&kept), name.clone());
        let watch = tokio::spawn(async move {
            let mut events =
                sagas.watch(&WatchParams::default().timeout(290), &version).await.unwrap().boxed();
            while let Ok(Some(event)) = events.try_next().await {
                let (WatchEvent::Added(saga)
                | WatchEvent::Modified(saga)
                | WatchEvent::Deleted(saga)) = &event
                else {
                    continue;
                };
                if concerns(&of, saga) {
                    let mut kept = keeps(&keeper);
                    kept.gone |= saga.name_any() == of && matches!(event, WatchEvent::Deleted(_));
                    kept.versions.push(saga.clone());
                }
            }
        });
        Self { name, kept, watch }
    }

    /// Returns whether this history contains the versions of `saga`.
    pub fn concerns(&self, saga: &Saga) -> bool {
        concerns(&self.name, saga)
    }

    /// Waits until the history contains the last version of the saga, and returns all versions. If
    /// `last` is `None`, waits until the saga is deleted.
    pub async fn caught_up(self, last: Option<&Saga>) -> Vec<Saga> {
        let there = || {
            let kept = keeps(&self.kept);
            let newest = kept.versions.iter().rev().find(|saga| saga.name_any() == self.name);
            last.map_or(kept.gone, |last| {
                newest.map(Saga::resource_version) == Some(last.resource_version())
            })
        };
        let caught_up = async {
            while !there() {
                sleep(POLL).await;
            }
        };
        timeout(PATIENCE, caught_up).await.expect("the watch tells of the end");
        keeps(&self.kept).versions.clone()
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// Returns whether `saga` is the saga of this name or one of its children. The names of the
/// children begin with the name of the saga.
fn concerns(name: &str, saga: &Saga) -> bool {
    saga.name_any().strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn keeps(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
