//! The chain whose last step fails for good: all that was done is undone, the newest first.

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
