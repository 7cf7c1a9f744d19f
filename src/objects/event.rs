//! The Event object of a notice.

use jiff::Timestamp;
use k8s_openapi::{
    api::events::v1::Event,
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::Resource;

use crate::{
    api::{StoredSaga, names::MANAGER, stored::name},
    digest::short_hash,
    model::plan::Notice,
};

/// The maximum number of bytes of an event's note. The API server accepts 1024.
pub(in crate::objects) const MAX_NOTE: usize = 1000;

/// Builds the event of a notice. Each event is a separate object: an aggregated series would keep
/// only the text of its first event.
pub(crate) fn event(saga: &StoredSaga, executor: &str, notice: &Notice, now: Timestamp) -> Event {
    let Notice { warning, reason, message } = notice;
    let uid = saga.metadata.uid.as_deref().unwrap_or_default();
    let hash = short_hash(&[uid, reason, message, &now.to_string()], 16);
    let mut note = message.clone();
    note.truncate(note.floor_char_boundary(MAX_NOTE));
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{hash}", name(saga))),
            namespace: saga.metadata.namespace.clone(),
            ..ObjectMeta::default()
        },
        action: Some("Reconcile".into()),
        event_time: Some(MicroTime(now)),
        note: Some(note),
        reason: Some((*reason).to_owned()),
        regarding: Some(saga.object_ref(&())),
        reporting_controller: Some(MANAGER.into()),
        reporting_instance: Some(executor.to_owned()),
        type_: Some(if *warning { "Warning" } else { "Normal" }.into()),
        ..Event::default()
    }
}
