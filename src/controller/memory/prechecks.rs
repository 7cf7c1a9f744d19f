//! What came of trying sagas before their first step.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::model::input::MayCome;

/// For how long a refusal has to last before it is believed.
pub(crate) const BELIEVED_AFTER: Duration = Duration::from_secs(1);

/// For how long a result holds for the same content.
pub(crate) const GOOD_FOR: Duration = Duration::from_mins(10);

pub(crate) const BAD_FOR: Duration = Duration::from_millis(800);

/// How many results are remembered.
pub(crate) const MOST: usize = 2048;

/// What came of trying one operation, wherever in a saga it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fine,
    Refused(Mend, String),
    Unchecked(String),
}

/// What of earlier steps would mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mend {
    Nothing,
    Objects,
    Secrets,
    Places,
}

impl Verdict {
    /// The same where earlier steps may make this: what they may mend is left to them.
    pub(crate) fn after(&self, may_come: MayCome) -> Self {
        let mended = |mend: Mend| match mend {
            Mend::Nothing => false,
            Mend::Objects => may_come.objects,
            Mend::Secrets => may_come.secrets,
            Mend::Places => may_come.places,
        };
        match self {
            Self::Refused(mend, message) if mended(*mend) => Self::Unchecked(message.clone()),
            Self::Fine | Self::Refused(..) | Self::Unchecked(_) => self.clone(),
        }
    }
}

/// Results by content, and since when sagas are refused, by UID.
#[derive(Default)]
pub struct Prechecks {
    results: Mutex<HashMap<String, (Instant, Verdict)>>,
    pub(crate) refused: Mutex<HashMap<String, Instant>>,
}

impl Prechecks {
    pub(crate) fn known(&self, content: &str) -> Option<Verdict> {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, verdict) = results.get(content)?;
        let holds = if *verdict == Verdict::Fine { GOOD_FOR } else { BAD_FOR };
        (at.elapsed() < holds).then(|| verdict.clone())
    }

    pub(crate) fn remember(&self, content: String, verdict: Verdict) {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        if results.len() >= MOST {
            results.clear();
        }
        results.insert(content, (Instant::now(), verdict));
    }

    /// Whether a refusal has lasted long enough. One that does not last is forgotten.
    pub(crate) fn is_believed(&self, uid: &str, refused: bool) -> bool {
        let mut since = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if !refused {
            since.remove(uid);
            return true;
        }
        since.entry(uid.to_owned()).or_insert_with(Instant::now).elapsed() >= BELIEVED_AFTER
    }

    /// Forgets since when sagas are refused that ended or went. As long as they are there all are
    /// remembered: of what is forgotten nobody would ever be told.
    pub(crate) fn forget(&self, lives: impl Fn(&str) -> bool) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| lives(uid));
    }
}
