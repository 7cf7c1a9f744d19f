//! What the simulated services do, and what users do.

use std::time::Duration;

use saga_operator::{
    api::{Direction, SagaSpec, shape::Shape},
    model::versions::Served,
    validate::saga::validate_accepted,
};
use serde_json::{Value, json};

use super::{World, check, name};
use crate::script::{Act, says_no};

impl World {
    // What the simulated services do.

    pub fn on(mut self, step: &str, acts: Vec<Act>) -> Self {
        self.services.script(step, Direction::Action, acts);
        self
    }

    pub fn on_undo(mut self, step: &str, acts: Vec<Act>) -> Self {
        self.services.script(step, Direction::Compensation, acts);
        self
    }

    /// Makes the action answer with a definite failure, this many times.
    pub fn fails(self, step: &str, times: usize) -> Self {
        self.on(step, vec![says_no(); times])
    }

    /// Makes the compensation answer with a definite failure, this many times.
    pub fn undo_fails(self, step: &str, times: usize) -> Self {
        self.on_undo(step, vec![says_no(); times])
    }

    /// Makes the process die after this many moves. Another process starts after `down`.
    pub fn crash_at(mut self, moves: usize, down: Duration) -> Self {
        self.fatal.insert(moves, down);
        self
    }

    /// The same as `crash_at`, with the moves counted from now.
    pub fn crash_later(self, moves: usize, down: Duration) -> Self {
        let moves = self.moves + moves;
        self.crash_at(moves, down)
    }

    // What users do.

    pub fn edit(&mut self, change: impl FnOnce(&mut SagaSpec)) {
        change(&mut self.spec);
        self.generation += 1;
        self.saga = check(&self.spec);
        self.reload();
    }

    /// Writes an annotation, as a user does.
    pub fn annotate(&mut self, key: &str, value: &str) {
        self.annotations.insert(key.into(), value.into());
        self.reload();
    }

    /// Removes an annotation, as a user does.
    pub fn strip(&mut self, key: &str) {
        self.annotations.remove(key);
        self.reload();
    }

    pub fn suspend(&mut self) {
        self.edit(|spec| spec.suspend = Some(true));
    }

    pub fn unsuspend(&mut self) {
        self.edit(|spec| spec.suspend = None);
    }

    pub fn delete(&mut self) {
        self.deleting = true;
        self.generation += 1;
        self.gone = !self.finalizer;
    }

    /// Makes the API server serve a definition with this schema of the status.
    pub fn serve(&mut self, schema: &Value) {
        self.served = Some((Shape::of("status", schema), Served::new(schema)));
    }

    /// Makes the saga one that another version accepted by its own rules.
    pub fn was_accepted_with(&mut self, change: impl FnOnce(&mut SagaSpec)) {
        self.edit(change);
        self.saga = validate_accepted(&name(), &Ok(self.spec.clone()), None);
        self.raw["specHash"] = json!(self.stored.spec_hash);
        self.reload();
    }

    /// Writes a status by hand that contradicts nothing.
    pub fn restore(&mut self, status: Value) {
        self.raw = status;
        self.reload();
    }

    /// Writes any status by hand, so that the status no longer has to keep the invariants.
    pub fn forge(&mut self, status: Value) {
        self.restore(status);
        self.trusted = false;
    }
}
