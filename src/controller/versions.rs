//! What this process remembers of the work of operators of another version.
//!
//! # Guarantees
//! Of a saga with words that this version does not know is told once. Where two versions put the
//! same in words of their own, this process puts it in its own once a minute at most: the two would
//! go on for ever.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use kube::runtime::controller::Action;

use super::{
    clock::now,
    cluster::error::Error,
    context::Context,
    effects::perform::Performance,
    reconcile::{STALE_AGAIN, seen, unwatched},
    record,
};
use crate::{
    api::{RELEASE, StoredSaga},
    engine::plan,
    model::{input::Seen, observation::Observed, versions::Versions},
    service::metrics::ReconcileResult,
};

/// For how long another process has the last word.
const WORDS: Duration = Duration::from_mins(1);

/// What is remembered, by the UID of the saga.
#[derive(Debug, Default)]
pub struct OtherVersions(Mutex<HashMap<String, Met>>);

#[derive(Debug, Default)]
struct Met {
    /// The words that were told of.
    told: Vec<String>,
    /// When this process last put into its own words what another one had put into other ones.
    reworded: Option<Instant>,
}

impl OtherVersions {
    /// Whether nobody was told yet of these words of the saga; from now on somebody was.
    pub fn are_news(&self, uid: &str, words: &[String]) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let met = all.entry(uid.to_owned()).or_default();
        let news = met.told != words;
        if news {
            met.told = words.to_vec();
        }
        news
    }

    /// Remembers that what another process said of the saga was put into other words.
    pub fn reworded(&self, uid: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(uid.to_owned())
            .or_default()
            .reworded = Some(Instant::now());
    }

    /// Whether that was just now.
    pub fn reworded_lately(&self, uid: &str) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(uid).and_then(|met| met.reworded).is_some_and(|at| at.elapsed() < WORDS)
    }

    /// Forgets sagas that ended or went.
    pub fn forget(&self, lives: impl Fn(&str) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| lives(uid));
    }
}

/// A saga with words in its status that this version does not know: that is told once, and the saga
/// left to an operator of that version.
///
/// # Errors
/// Where its finalizer could not be taken off.
pub(super) async fn leave_alone(
    stored: &StoredSaga,
    context: &Arc<Context>,
) -> Result<(Action, ReconcileResult), Error> {
    let words =
        stored.strangers.as_ref().map(|strangers| strangers.words.as_slice()).unwrap_or_default();
    let words_are_news =
        context.versions.are_news(stored.metadata.uid.as_deref().unwrap_or_default(), words);
    if words_are_news {
        context.metrics.unknown_words_met();
        tracing::warn!(
            words = words.join(", "),
            version = RELEASE,
            "the status holds words of another version: the saga is left alone"
        );
    }
    let (children, at) = (Observed::new(), now());
    let seen = seen(stored, context, &children, at);
    let plan = plan(
        &Err(Vec::new()),
        &Seen { versions: Versions { words_are_news, ..seen.versions }, ..seen.clone() },
    );
    let again = unwatched(stored, context).map_or_else(Action::await_change, Action::requeue);
    let Some(record) = record::record(context, stored, plan).await? else {
        return Ok((Action::requeue(STALE_AGAIN), ReconcileResult::Conflict));
    };
    Performance {
        context,
        stored,
        saga: None,
        executor: "",
        planned: (at, Instant::now()),
        slots: Mutex::default(),
    }
    .perform(record)
    .await?;
    Ok((again, ReconcileResult::Unchanged))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_news_once() {
        let (versions, words) = (OtherVersions::default(), ["status.phase is Dreaming".to_owned()]);
        assert!(versions.are_news("a", &words) && !versions.are_news("a", &words));
        assert!(
            versions.are_news("a", &["status.phase is Waking".to_owned()])
                && versions.are_news("b", &words)
        );
        versions.forget(|uid| uid == "a");
        assert!(versions.are_news("b", &words));
    }

    #[test]
    fn another_process_has_the_last_word_for_a_while() {
        let versions = OtherVersions::default();
        versions.reworded("a");
        assert!(versions.reworded_lately("a") && !versions.reworded_lately("b"));
    }
}
