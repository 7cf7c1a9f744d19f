//! Two HTTP requests and a Pod, one after the other. All succeed. Without a node, the Pod is
//! replaced by an HTTP request.

use serde_json::{Value, json};

use super::{PLAIN, Scene, Story};
use crate::{crash, fault::Counter};

pub static STORY: Story = Story {
    name: "chain",
    strikes: &[
        (Counter::Trial, 2),
        (Counter::Read, 2),
        (Counter::SagaList, 1),
        (Counter::SagaWatch, 1),
        (Counter::PodList, 1),
        (Counter::PodWatch, 1),
        (Counter::PolicyRead, 2),
        (Counter::LeaseRead, 1),
    ],
    spec: |scene| checkout(scene, false),
    done: &["reserve-stock", "charge-card", "ship"],
    ..PLAIN
};

/// Returns the checkout whose last step is a Pod. If `fails` is true, the last step fails, and the
/// saga is undone.
pub fn checkout(scene: &Scene<'_>, fails: bool) -> Value {
    let mut spec = crash::checkout(fails);
    if !scene.node {
        // The refusal of the HTTP request is as permanent as the failure of the Pod.
        spec["steps"][2].as_object_mut().unwrap().remove("pod");
        let path = if fails { "/shipping/nowhere" } else { "/shipping/shipments" };
        spec["steps"][2]["http"] =
            json!({"method": "POST", "url": format!("SHOP{path}"), "body": {"order": "7"}});
    }
    spec
}
