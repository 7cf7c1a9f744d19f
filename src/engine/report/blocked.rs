//! Why a saga cannot continue until a user corrects it.

use crate::{
    api::{RELEASE, SagaStatus, reason::REFUSED, status::stalled_reason},
    fault::Fault,
    text::{all_that_fit, join},
};

/// The most characters of the condition that lists all faults: a quarter of what a condition may
/// hold.
pub(in crate::engine) const ALL_FAULTS: usize = 8192;

/// The reason of a saga that waits for a newer CustomResourceDefinition before its first step.
pub(in crate::engine) const TOO_OLD: &str = "DefinitionTooOld";

/// Why a saga cannot continue until a user corrects it.
pub(in crate::engine) enum Blocked {
    /// The spec is not valid.
    Spec(Vec<Fault>),
    /// The precheck found something that cannot work.
    Refused {
        /// What cannot work.
        faults: Vec<Fault>,
        /// How many further operations were not tried.
        untried: usize,
    },
    /// The spec holds fields or values that this version does not know.
    UnknownField(Vec<String>),
    /// The served CustomResourceDefinition would lose these fields and enum values, which must be
    /// recorded.
    DefinitionTooOld(Vec<String>),
    /// A field that was pinned at acceptance has changed.
    SpecChanged,
    /// The status cannot be read or contradicts itself.
    Status(Vec<String>),
}

impl Blocked {
    /// Returns whether a reason is the reason of a blocked saga.
    pub(in crate::engine) fn is_reason(reason: &str) -> bool {
        let (spec, status) = (Self::Spec(Vec::new()), Self::Status(Vec::new()));
        let refused = Self::Refused { faults: Vec::new(), untried: 0 };
        let (unknown, too_old) =
            (Self::UnknownField(Vec::new()), Self::DefinitionTooOld(Vec::new()));
        [spec, refused, unknown, too_old, Self::SpecChanged, status]
            .iter()
            .any(|block| block.reason() == reason)
    }

    /// Returns whether nothing of the saga has run, so that it can be cancelled and tried again.
    pub(in crate::engine) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::DefinitionTooOld(_))
    }

    pub(in crate::engine) const fn reason(&self) -> &'static str {
        match self {
            Self::Spec(_) => "InvalidSpec",
            Self::Refused { .. } => REFUSED,
            Self::UnknownField(_) => "UnknownField",
            Self::DefinitionTooOld(_) => TOO_OLD,
            Self::SpecChanged => "SpecChanged",
            Self::Status(_) => "InvalidStatus",
        }
    }

    /// Returns the message with the first faults.
    pub(in crate::engine) fn message(&self) -> String {
        self.message_with(|faults| join(faults.iter().map(ToString::to_string), "; "))
    }

    /// Returns the message with all faults.
    pub(in crate::engine) fn whole_message(&self) -> String {
        self.message_with(|faults| {
            all_that_fit(faults.iter().map(ToString::to_string), "; ", ALL_FAULTS)
        })
    }

    fn message_with(&self, list: impl Fn(&[Fault]) -> String) -> String {
        match self {
            Self::Spec(faults) => list(faults),
            Self::Refused { faults, untried } => {
                let untried = match untried {
                    0 => String::new(),
                    more => format!("; and {more} more were not tried"),
                };
                format!(
                    "no step has begun, because the saga could not be completed: {}{untried}; the \
                     operator checks the saga again after 5 s, then ever less often, at least \
                     every 5 min (saga.dev/retry: \"*\" checks it at once; precheck: Skip leaves \
                     a step out of the check)",
                    list(faults)
                )
            }
            Self::UnknownField(strangers) => format!(
                "{}: remove it, or upgrade the operator to a version that knows it; nothing starts \
                 until then",
                join(strangers.iter().cloned(), "; ")
            ),
            Self::DefinitionTooOld(lacks) => too_old(lacks),
            Self::SpecChanged => "steps, params or idempotencyPrefix are not what was accepted: \
                restore the spec, or create a new Saga; nothing starts until then"
                .into(),
            Self::Status(sentences) => format!(
                "the stored status cannot be acted on, restore it: {}; nothing starts until then",
                join(sentences.iter().cloned(), "; ")
            ),
        }
    }
}

/// Returns whether the saga cannot continue until a user corrects it.
pub(in crate::engine) fn is_held(status: &SagaStatus) -> bool {
    stalled_reason(status).is_some_and(Blocked::is_reason)
}

/// Returns whether the saga refuses every request until a user corrects it. A saga that was refused
/// before its first step does not: it can be cancelled.
#[must_use]
pub fn cannot_be_told(status: &SagaStatus) -> bool {
    stalled_reason(status)
        .is_some_and(|reason| ![REFUSED, TOO_OLD].contains(&reason) && Blocked::is_reason(reason))
}

/// How many missing fields are named.
pub(in crate::engine) const SHOWN: usize = 5;

/// Returns the message about a CustomResourceDefinition that is too old.
pub(in crate::engine) fn too_old(lacks: &[String]) -> String {
    let mut shown = lacks.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if let Some(more) = lacks.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        shown = format!("{shown} and {more} more");
    }
    format!(
        "the definition of sagas.saga.dev in this cluster is older than the operator, and would \
         drop fields that the operator records ({shown}): apply the definition of version \
         {RELEASE} (crds/sagas.yaml, or the output of saga-operator crd); nothing starts until \
         then"
    )
}
