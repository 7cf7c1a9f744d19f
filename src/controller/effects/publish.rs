//! Publishes events.

use k8s_openapi::api::events::v1::Event;
use kube::{Api, api::PostParams};

use super::performance::{Next, Performance};
use crate::{
    api::stored::{name, namespace},
    controller::{
        clock::now,
        cluster::error::{self, Error},
    },
    model::plan::Notice,
    objects::event::event,
};

pub(in crate::controller) async fn publish(
    performance: &Performance<'_>,
    notice: &Notice,
) -> Result<Next, Error> {
    let event = event(performance.stored, &performance.parts.cluster.instance, notice, now());
    let api: Api<Event> =
        Api::namespaced(performance.parts.cluster.client.clone(), namespace(performance.stored));
    if let Err(source) = api.create(&PostParams::default(), &event).await {
        // A lost event is no error: the status says the same. If the saga is deleted with its
        // namespace, this log line says the same.
        let (saga, namespace, error) =
            (name(performance.stored), namespace(performance.stored), error::chain(&source));
        tracing::warn!(
            saga,
            namespace,
            reason = notice.reason,
            notice = notice.message,
            error,
            "cannot publish an event"
        );
    }
    Ok(Next::Later)
}
