//! The names that other programs rely on: labels, the finalizer, the field manager, the names of
//! children, idempotency keys.

use crate::digest::short_hash;

use super::Direction;

/// The finalizer that keeps an unfinished saga until the saga is undone, so that no deletion
/// orphans an intent.
pub const FINALIZER: &str = "saga.dev/undo";
/// The name of the operator in managed fields, events and labels.
pub const MANAGER: &str = "saga-operator";
/// The label of every child, with the value [`MANAGER`].
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The label with the name of the saga.
pub const LABEL_SAGA: &str = "saga.dev/saga";
/// The label with the name of the step.
pub const LABEL_STEP: &str = "saga.dev/step";
/// The label with the direction: `action` or `compensation`.
pub const LABEL_DIRECTION: &str = "saga.dev/direction";
/// The annotation of an applied object: the attempt that applied it, as the name that a child of
/// the attempt would have.
pub const ANNOTATION_ATTEMPT: &str = "saga.dev/applied-by";
/// The annotation of a child saga that follows an earlier child of the same step: where the
/// idempotency keys of its steps continue.
pub const ANNOTATION_KEYS: &str = "saga.dev/keys-from";
/// The label with the number of the attempt.
pub const LABEL_ATTEMPT: &str = "saga.dev/attempt";

/// The longest name of a child. The name becomes a host name.
const MAX_NAME: usize = 63;
/// The longest name of a Job: a dash and the highest possible index follow the name.
const MAX_JOB_NAME: usize = MAX_NAME - "-2147483646".len();
/// The number of hexadecimal digits of the hash in a child's name: 48 bits, within one namespace
/// and the attempts of one saga.
const HASH_DIGITS: usize = 12;

/// The identity of one attempt. The name, the labels and the idempotency key of the child follow
/// from the identity alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId {
    /// The name of the step.
    pub step: String,
    /// Action or compensation.
    pub direction: Direction,
    /// The number of the attempt: 1, 2, … within the step and direction, never reset.
    pub number: i64,
}

impl std::fmt::Display for AttemptId {
    /// `ship/action/2`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.step, self.direction, self.number)
    }
}

/// Returns whether a text is a DNS label (RFC 1123), as the name of every step is: 1 to 63
/// lower-case letters, digits and dashes, no dash at the ends.
#[must_use]
pub fn is_dns_label(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Returns whether a text is allowed in an idempotency key or as the token of a request: 1 to 63
/// letters, digits, dots, underscores and dashes.
#[must_use]
pub fn is_token(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Returns the name of an attempt's child: `<saga>-<step>-<a|c><number>-<hash>`, cut to 63
/// characters with the hash kept. The hash is over the saga's UID and the attempt: a saga that is
/// created again under the same name never meets the children of its predecessor.
#[must_use]
pub fn child_name(saga: &str, uid: &str, attempt: &AttemptId) -> String {
    cut_name(saga, uid, attempt, MAX_NAME)
}

/// Returns the name of an attempt's Job: as [`child_name`], but short enough and without dots, so
/// that the host names of its pods, `<name>-<index>`, are valid.
#[must_use]
pub fn job_name(saga: &str, uid: &str, attempt: &AttemptId) -> String {
    cut_name(&saga.replace('.', "-"), uid, attempt, MAX_JOB_NAME)
}

fn cut_name(saga: &str, uid: &str, attempt: &AttemptId, most: usize) -> String {
    let hash = short_hash(&[uid, &attempt.to_string()], HASH_DIGITS);
    let letter = match attempt.direction {
        Direction::Action => 'a',
        Direction::Compensation => 'c',
    };
    let mut head = format!("{saga}-{}-{letter}{}", attempt.step, attempt.number);
    // A stored status may name a step as it likes.
    head.truncate(head.floor_char_boundary(most.saturating_sub(HASH_DIGITS + 1)));
    let head = head.trim_end_matches(['-', '.']);
    format!("{head}-{hash}")
}

/// Returns the idempotency key: `<uid or prefix>/<step>/<action|compensation>/<failures>`.
#[must_use]
pub fn idempotency_key(scope: &str, step: &str, direction: Direction, failures: i64) -> String {
    format!("{scope}/{step}/{direction}/{failures}")
}

/// Returns the first part of the idempotency keys of a child saga, instead of its UID: the name of
/// the step and a hash of the key of the attempt that creates the child. An attempt that is
/// repeated under its key thus repeats the keys of its child.
#[must_use]
pub fn key_scope_of_child(step: &str, key: &str) -> String {
    let mut head = step.to_owned();
    head.truncate(head.floor_char_boundary(MAX_NAME - HASH_DIGITS - 1));
    format!("{head}-{}", short_hash(&["child", key], HASH_DIGITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(step: &str, number: i64) -> AttemptId {
        AttemptId { step: step.into(), direction: Direction::Action, number }
    }

    #[test]
    fn a_child_is_named_after_its_saga_step_and_attempt() {
        let name = child_name("order-1042", "0d1c", &attempt("ship", 2));
        assert!(name.starts_with("order-1042-ship-a2-"), "{name}");
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let (saga, step) = ("s".repeat(63), "t".repeat(63));
        let names: std::collections::BTreeSet<_> =
            (1..200).map(|number| child_name(&saga, "uid", &attempt(&step, number))).collect();
        assert_eq!(names.len(), 199);
        assert!(names.iter().all(|name| name.len() <= MAX_NAME));
    }

    #[test]
    fn names_are_cut_between_letters_whatever_a_status_says() {
        for length in 1..40 {
            let step = "é".repeat(length);
            assert!(child_name("ab", "uid", &attempt(&step, 1)).len() <= MAX_NAME);
            assert!(key_scope_of_child(&format!("a{step}"), "key").len() <= MAX_NAME);
        }
    }

    #[test]
    fn every_index_of_a_job_has_a_host_name() {
        let name = job_name(&"long.name.".repeat(6), "uid", &attempt("ship", 2));
        assert!(is_dns_label(&format!("{name}-{}", i32::MAX - 1)), "{name}");
        assert_eq!(
            job_name("order", "uid", &attempt("ship", 2)),
            child_name("order", "uid", &attempt("ship", 2))
        );
    }

    #[test]
    fn a_saga_created_again_has_other_children() {
        assert_ne!(
            child_name("a", "uid-1", &attempt("b", 1)),
            child_name("a", "uid-2", &attempt("b", 1))
        );
    }
}
