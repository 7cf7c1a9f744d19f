//! The chain with a permanent failure of the last step. Everything that was done is undone, the
//! newest step first.

use saga_operator::api::SagaPhase;

use super::{End, PLAIN, Story, chain::checkout};

pub static STORY: Story = Story {
    name: "compensation",
    spec: |scene| checkout(scene, true),
    end: End::In(SagaPhase::Compensated),
    done: &["reserve-stock", "charge-card"],
    undone: &["charge-card", "reserve-stock"],
    ..PLAIN
};
