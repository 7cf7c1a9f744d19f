//! Whether a saga was accepted before, and by the rules of which version.

/// The first version whose rules for the sagas that it accepts are those of this version.
const FIRST: [u64; 3] = [0, 1, 0];

/// Whether a saga was accepted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::validate) enum Acceptance {
    /// The saga is not accepted yet.
    Pending,
    /// A version with the rules of this version accepted the saga.
    Done,
    /// A version before [`FIRST`] accepted the saga. The pods of one container get an API token
    /// although the step does not ask for it, and the answer of a service may bring some fields
    /// more into a template.
    Earlier,
}

impl Acceptance {
    /// Returns how a saga was accepted that names this version; `None` if the version that accepted
    /// the saga did not name itself yet.
    pub(in crate::validate) fn by(version: Option<&str>) -> Self {
        let earlier = |version| numbers(version).is_some_and(|numbers| numbers < FIRST);
        if version.is_none_or(earlier) { Self::Earlier } else { Self::Done }
    }

    /// Returns whether the saga was accepted.
    pub(in crate::validate) fn is_done(self) -> bool {
        self != Self::Pending
    }
}

/// Returns the three numbers of a version. What stands behind a dash or a plus does not count.
fn numbers(version: &str) -> Option<[u64; 3]> {
    let mut numbers = version.split(['-', '+']).next()?.split('.').map(|part| part.parse().ok());
    let mut next = || numbers.next().flatten();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::RELEASE;

    #[test]
    fn a_saga_was_accepted_by_earlier_rules_if_its_version_is_older_or_did_not_say_which_it_is() {
        for earlier in [None, Some("0.0.9"), Some("0.0.9-rc.1"), Some("0.0.10+build.7")] {
            assert_eq!(Acceptance::by(earlier), Acceptance::Earlier, "{earlier:?}");
        }
        let later = ["0.1.0", "0.1.0-rc.1", "0.1.10", "0.2.0", "1.0.0", "99.0.0", RELEASE];
        for later in later.into_iter().chain(["", "0.0", "first", "v0.0.9"]) {
            assert_eq!(Acceptance::by(Some(later)), Acceptance::Done, "{later}");
        }
    }
}
