//! A checkout that is deleted while it waits for an approval. The saga is undone and then removed.

use saga_operator::api::StepPhase;

use super::{Costs, Doing, End, PLAIN, Scene, Story, USUAL, approval::checkout_that_asks};

pub static STORY: Story = Story {
    name: "deletion",
    spec: |_| checkout_that_asks(),
    told,
    end: End::Gone,
    done: &["reserve-stock", "charge-card"],
    undone: &["charge-card", "reserve-stock"],
    costs: Costs { met: 1, ..USUAL },
    ..PLAIN
};

fn told<'a>(scene: &'a Scene<'a>) -> Doing<'a> {
    Box::pin(async {
        scene.stand.step_reaches(scene.name, "release", StepPhase::Waiting).await;
        scene.stand.delete(scene.name).await;
    })
}
