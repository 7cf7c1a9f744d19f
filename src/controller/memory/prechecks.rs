//! The results of the operations that prechecks tried, by the content of the operations.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::model::input::MayProvide;

/// How long a refusal must last before it counts.
pub(in crate::controller) const BELIEVED_AFTER: Duration = Duration::from_secs(1);

/// How long a good result is valid for the same content.
pub(in crate::controller) const GOOD_FOR: Duration = Duration::from_mins(10);

/// How long any other result is valid for the same content. It is no longer valid when a refusal
/// has to be met again.
pub(in crate::controller) const BAD_FOR: Duration = Duration::from_millis(800);

/// How many results are remembered.
pub(in crate::controller) const MOST: usize = 2048;

/// The result of trying one operation, for all places in a saga that hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) enum PrecheckVerdict {
    Fine,
    Refused(FixedBy, String),
    Unchecked(String),
}

/// What an earlier step may write that would make the operation valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) enum FixedBy {
    Nothing,
    Objects,
    Secrets,
    Places,
}

impl PrecheckVerdict {
    /// Returns the verdict for an operation that stands after earlier steps. If the earlier steps
    /// may mend a refusal, the refusal becomes unchecked.
    pub(in crate::controller) fn after(&self, may_provide: MayProvide) -> Self {
        let mended = |mend: FixedBy| match mend {
            FixedBy::Nothing => false,
            FixedBy::Objects => may_provide.objects,
            FixedBy::Secrets => may_provide.secrets,
            FixedBy::Places => may_provide.places,
        };
        match self {
            Self::Refused(mend, message) if mended(*mend) => Self::Unchecked(message.clone()),
            Self::Fine | Self::Refused(..) | Self::Unchecked(_) => self.clone(),
        }
    }
}

/// The results by content. When there are too many, the one that was used longest ago is forgotten.
#[derive(Debug, Default)]
pub struct Prechecks(Mutex<PrecheckResults>);

#[derive(Debug, Default)]
struct PrecheckResults {
    /// How often a result was used.
    uses: u64,
    kept: HashMap<String, KeptPrecheck>,
}

#[derive(Debug)]
struct KeptPrecheck {
    at: Instant,
    /// The number of the last use.
    used: u64,
    verdict: PrecheckVerdict,
}

impl Prechecks {
    pub(in crate::controller) fn known(&self, content: &str) -> Option<PrecheckVerdict> {
        let mut results = self.lock();
        let used = results.use_number();
        let kept = results.kept.get_mut(content)?;
        let holds = if kept.verdict == PrecheckVerdict::Fine { GOOD_FOR } else { BAD_FOR };
        if kept.at.elapsed() >= holds {
            return None;
        }
        kept.used = used;
        Some(kept.verdict.clone())
    }

    pub(in crate::controller) fn remember(&self, content: String, verdict: PrecheckVerdict) {
        let mut results = self.lock();
        if results.kept.len() >= MOST && !results.kept.contains_key(&content) {
            let oldest = results.kept.iter().min_by_key(|(_, kept)| kept.used);
            if let Some(oldest) = oldest.map(|(content, _)| content.clone()) {
                results.kept.remove(&oldest);
            }
        }
        let used = results.use_number();
        results.kept.insert(content, KeptPrecheck { at: Instant::now(), used, verdict });
    }

    fn lock(&self) -> MutexGuard<'_, PrecheckResults> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PrecheckResults {
    fn use_number(&mut self) -> u64 {
        self.uses = self.uses.saturating_add(1);
        self.uses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_is_used_outlives_many_newer_ones_that_are_not() {
        let prechecks = Prechecks::default();
        prechecks.remember("template".into(), PrecheckVerdict::Fine);
        prechecks.remember("once".into(), PrecheckVerdict::Fine);
        for other in 0..2 * MOST {
            prechecks.remember(other.to_string(), PrecheckVerdict::Fine);
            assert_eq!(prechecks.known("template"), Some(PrecheckVerdict::Fine), "{other}");
        }
        assert_eq!(prechecks.known("once"), None);
        assert_eq!(prechecks.known(&MOST.to_string()), None);
        assert!(prechecks.known(&(2 * MOST - 1).to_string()).is_some(), "the newest one is kept");
        assert_eq!(prechecks.lock().kept.len(), MOST);
    }
}
