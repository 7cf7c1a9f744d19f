//! The results of prechecks, which run before a saga's first step.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::model::input::MayProvide;

/// How long a refusal must last before it counts.
pub(in crate::controller) const BELIEVED_AFTER: Duration = Duration::from_secs(1);

/// How long a good result is valid for the same content.
pub(in crate::controller) const GOOD_FOR: Duration = Duration::from_mins(10);

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

/// The results by content, and since when sagas are refused, by UID.
#[derive(Default)]
pub struct Prechecks {
    results: Mutex<HashMap<String, (Instant, PrecheckVerdict)>>,
    pub(in crate::controller) refused: Mutex<HashMap<String, Instant>>,
}

impl Prechecks {
    pub(in crate::controller) fn known(&self, content: &str) -> Option<PrecheckVerdict> {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, verdict) = results.get(content)?;
        let holds = if *verdict == PrecheckVerdict::Fine { GOOD_FOR } else { BAD_FOR };
        (at.elapsed() < holds).then(|| verdict.clone())
    }

    pub(in crate::controller) fn remember(&self, content: String, verdict: PrecheckVerdict) {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        if results.len() >= MOST {
            results.clear();
        }
        results.insert(content, (Instant::now(), verdict));
    }

    /// Returns whether a refusal has lasted long enough to count. A refusal that ends is forgotten.
    pub(in crate::controller) fn is_believed(&self, uid: &str, refused: bool) -> bool {
        let mut since = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if !refused {
            since.remove(uid);
            return true;
        }
        since.entry(uid.to_owned()).or_insert_with(Instant::now).elapsed() >= BELIEVED_AFTER
    }

    /// Removes when sagas were first refused, for sagas that ended or were deleted. The other sagas
    /// all stay in memory: if the start of a refusal were forgotten, the refusal would never count.
    pub(in crate::controller) fn forget(&self, lives: impl Fn(&str) -> bool) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| lives(uid));
    }
}
