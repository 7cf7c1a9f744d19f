//! The memory of what operators of other versions wrote in sagas.
//!
//! # Guarantees
//! The operator warns once about a saga with words that this version does not know. Two versions
//! may express the same state in different messages and conditions. This process rewrites the
//! message and conditions of another version at most once a minute, because otherwise both versions
//! would rewrite each other's text without end.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long this process leaves the text of another process unchanged.
const WORDS: Duration = Duration::from_mins(1);

/// What operators of other versions wrote, by the UID of the saga.
#[derive(Debug, Default)]
pub struct OtherVersions(Mutex<HashMap<String, Met>>);

#[derive(Debug, Default)]
struct Met {
    /// The unknown words that a warning already named.
    told: Vec<String>,
    /// When this process last replaced the text of another process with its own.
    reworded: Option<Instant>,
}

impl OtherVersions {
    /// Returns whether no warning named these words of the saga yet, and notes that one does now.
    pub fn are_news(&self, uid: &str, words: &[String]) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let met = all.entry(uid.to_owned()).or_default();
        let news = met.told != words;
        if news {
            met.told = words.to_vec();
        }
        news
    }

    /// Notes that this process replaced the text of another process in this saga.
    pub fn note_rewording(&self, uid: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(uid.to_owned())
            .or_default()
            .reworded = Some(Instant::now());
    }

    /// Returns whether that happened within the last minute.
    pub fn was_reworded_lately(&self, uid: &str) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(uid).and_then(|met| met.reworded).is_some_and(|at| at.elapsed() < WORDS)
    }

    /// Removes sagas that ended or were deleted.
    pub fn forget(&self, lives: impl Fn(&str) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| lives(uid));
    }
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
        versions.note_rewording("a");
        assert!(versions.was_reworded_lately("a") && !versions.was_reworded_lately("b"));
    }
}
