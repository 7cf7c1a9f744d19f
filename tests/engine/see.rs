//! What can be seen of a world.

use std::time::Duration;

use jiff::Timestamp;
use saga_operator::{
    api::{Direction, SagaPhase, SagaStatus, StepPhase, StepStatus},
    clock::{between, to_micros},
};

use crate::world::{DAWN, World};

impl World {
    /// Returns the status. If the status cannot be read, returns its message and conditions only.
    pub fn status(&self) -> SagaStatus {
        self.stored.status.clone().unwrap_or_else(|_| self.stored.salvaged.clone())
    }

    pub fn phase(&self) -> SagaPhase {
        self.status().phase.expect("a phase")
    }

    pub fn step(&self, name: &str) -> StepStatus {
        self.status().steps.into_iter().find(|step| step.name == name).expect("a step of that name")
    }

    pub fn is(&self, name: &str, phase: StepPhase) -> bool {
        self.status().steps.iter().any(|step| step.name == name && step.phase == phase)
    }

    /// Returns the steps whose actions succeeded, in order.
    pub fn done(&self) -> Vec<&str> {
        self.in_direction(Direction::Action)
    }

    /// Returns the steps whose compensations succeeded, in order.
    pub fn undone(&self) -> Vec<&str> {
        self.in_direction(Direction::Compensation)
    }

    fn in_direction(&self, wanted: Direction) -> Vec<&str> {
        self.succeeded
            .iter()
            .filter(|(_, direction)| *direction == wanted)
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// Returns everything that was sent or created, in order, in the form `charge/action/1`.
    pub fn sent(&self) -> Vec<String> {
        self.services.sent.iter().map(|sent| sent.attempt.to_string()).collect()
    }

    /// Returns when the attempts of a step began, in milliseconds since the world began.
    pub fn sent_at(&self, step: &str, direction: Direction) -> Vec<i64> {
        let sent = self
            .services
            .sent
            .iter()
            .filter(|sent| sent.attempt.step == step && sent.attempt.direction == direction);
        sent.map(|sent| sent.at.as_millisecond() - DAWN * 1000).collect()
    }

    /// Returns the last part of the keys under which the attempts of a step were sent.
    pub fn keys(&self, step: &str, direction: Direction) -> Vec<&str> {
        let sent = self
            .services
            .sent
            .iter()
            .filter(|sent| sent.attempt.step == step && sent.attempt.direction == direction);
        sent.map(|sent| sent.key.rsplit('/').next().unwrap()).collect()
    }

    pub fn still_in_effect(&self) -> Vec<String> {
        self.status().still_in_effect.expect("stillInEffect")
    }

    /// Returns `status/reason` of a condition.
    pub fn condition(&self, kind: &str) -> Option<String> {
        let status = self.status();
        let found = status.conditions.iter().find(|condition| condition.type_ == kind)?;
        Some(format!("{}/{}", found.status, found.reason))
    }

    pub fn message(&self) -> String {
        self.status().message.unwrap_or_default()
    }

    pub fn elapsed(&self) -> Duration {
        between(Timestamp::from_second(DAWN).unwrap(), to_micros(self.now))
    }

    pub fn warnings(&self) -> Vec<&str> {
        self.notices.iter().filter(|notice| notice.warning).map(|notice| notice.reason).collect()
    }
}
