//! Two requests and a Pod, one after the other; all is done. Without a node the Pod is a request.

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

/// The checkout whose last step is a Pod. It fails there at will, and is undone.
pub fn checkout(scene: &Scene<'_>, fails: bool) -> Value {
    let mut spec = crash::checkout(fails);
    if !scene.node {
        // Its refusal is as final as the Pod's.
        spec["steps"][2].as_object_mut().unwrap().remove("pod");
        let path = if fails { "/shipping/nowhere" } else { "/shipping/shipments" };
        spec["steps"][2]["http"] =
            json!({"method": "POST", "url": format!("SHOP{path}"), "body": {"order": "7"}});
    }
    spec
}
