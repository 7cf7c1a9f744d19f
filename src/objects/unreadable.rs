//! The mark of an object that exists and of which only the metadata could be read. It stands in for
//! the object in the caches.
//!
//! # Guarantees
//! - The mark exists only in memory: an annotation of this name that a user wrote is removed when
//!   the object is read, and no marked object is written to the API server.
//! - Nothing is concluded from what a marked object lacks. A marked Pod or Job is active, and once
//!   it is gone, its outcome is unknown, unless an earlier version showed its end.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;

/// The annotation that marks the object. Its value says which part could not be read, and why.
const UNREADABLE: &str = "saga.dev/unreadable";

/// Marks an object with the reason why it could not be read; removes the mark if there is none.
#[cfg(feature = "operator")] // only the controller reads objects
pub(in crate::objects) fn mark(metadata: &mut ObjectMeta, why: Option<String>) {
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(UNREADABLE);
    }
    if let Some(why) = why {
        metadata.annotations.get_or_insert_default().insert(UNREADABLE.to_owned(), why);
    }
}

/// Returns the mark as an annotation, for the copy that is kept in memory.
pub(in crate::objects) fn marked(metadata: &ObjectMeta) -> Option<(String, String)> {
    let why = metadata.annotations.as_ref()?.get(UNREADABLE)?;
    Some((UNREADABLE.to_owned(), why.clone()))
}

/// Returns why an object could not be read; `None` if it was read.
#[must_use]
pub fn why_unreadable(object: &impl Resource) -> Option<&str> {
    object.meta().annotations.as_ref()?.get(UNREADABLE).map(String::as_str)
}

/// Returns whether only the metadata of an object could be read.
pub(in crate::objects) fn is_unreadable(object: &impl Resource) -> bool {
    why_unreadable(object).is_some()
}

/// Returns what is said of an active object that cannot be read.
pub(in crate::objects) fn detail(why: &str) -> String {
    format!("cannot be read: {why}")
}
