//! A spec that is too large, or nested too deep, to be parsed into a tree.
//!
//! A tree takes up to thirty times the bytes of its text, and a list or a watch brings the specs of
//! all tenants. So such a spec is not kept, and only what is read of every spec stays.
//!
//! # Guarantees
//! The memory that a kept value takes does not grow with the spec.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    api::limits::{MAX_SPEC, MAX_SPEC_DEPTH},
    digest::sha256_hex,
};

/// The most characters of the name of a ServiceAccount.
const MAX_ACCOUNT: usize = 253;

/// What stays of a spec that is too large, or nested too deep, to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargeSpec {
    /// The size of the spec as stored JSON, in bytes.
    pub bytes: usize,
    /// The ServiceAccount of the saga. `None` if the spec does not name it in a readable form.
    pub(super) account: Option<String>,
    /// Whether the saga is suspended.
    pub(super) suspended: bool,
    /// The hash of the text of the fields that may never change. The API server writes the same
    /// fields as the same text.
    pub(super) pinned: String,
}

impl LargeSpec {
    /// Returns what stays of this spec, or `None` if the spec is small enough to be parsed.
    pub(super) fn of(spec: &RawValue) -> Option<Self> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct RawFields<'a> {
            #[serde(borrow)]
            service_account_name: Option<&'a RawValue>,
            #[serde(borrow)]
            suspend: Option<&'a RawValue>,
            #[serde(borrow)]
            steps: Option<&'a RawValue>,
            #[serde(borrow)]
            params: Option<&'a RawValue>,
            #[serde(borrow)]
            idempotency_prefix: Option<&'a RawValue>,
        }
        let text = spec.get();
        if text.len() <= MAX_SPEC && !is_nested_deeper(text, MAX_SPEC_DEPTH) {
            return None;
        }
        let fields = serde_json::from_str::<RawFields<'_>>(text).unwrap_or_default();
        let account = match fields.service_account_name {
            None => Some("default".to_owned()),
            Some(name) if name.get().len() <= 2 * MAX_ACCOUNT => {
                serde_json::from_str(name.get()).ok()
            }
            Some(_) => None,
        };
        Some(Self {
            bytes: text.len(),
            account,
            suspended: fields
                .suspend
                .is_some_and(|suspend| serde_json::from_str(suspend.get()).unwrap_or_default()),
            pinned: sha256_hex(
                &[fields.steps, fields.params, fields.idempotency_prefix]
                    .map(|field| field.map_or("", RawValue::get)),
            ),
        })
    }

    /// Returns the sentence that says why the spec is refused, and what to write instead.
    pub(super) fn refusal(&self) -> String {
        let instead = "put large data into a ConfigMap that the steps read, or split the work \
            into several sagas";
        if self.bytes > MAX_SPEC {
            format!("spec: has {} bytes, and at most {MAX_SPEC} are taken: {instead}", self.bytes)
        } else {
            format!(
                "spec: has objects and lists that are nested more than {MAX_SPEC_DEPTH} deep: \
                 make it flatter, or put the deep part as text into a ConfigMap that the steps read"
            )
        }
    }
}

/// Returns whether objects and lists are nested in each other more than `most` deep. The text is
/// JSON.
fn is_nested_deeper(text: &str, most: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth = depth.saturating_add(1);
                if depth > most {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_objects_and_lists_and_no_bracket_in_a_text() {
        for (text, depth) in [
            ("1", 0),
            (r#""[[[""#, 0),
            (r#"{"a\"[[": "]\\"}"#, 1),
            (r#"{"a": [{}, [1]], "b": {}}"#, 3),
        ] {
            assert!(!is_nested_deeper(text, depth), "{text}");
            assert!(depth == 0 || is_nested_deeper(text, depth - 1), "{text}");
        }
    }
}
