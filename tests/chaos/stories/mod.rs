//! The stories of the sweep, one per file. A story describes the saga, the actions of the users,
//! and the expected results.

mod approval;
mod chain;
mod child;
mod circuit;
mod compensation;
mod deletion;
mod failed_compensation;
mod job;
mod leader;
mod objects;
mod parallel;
mod refused;
mod requests;
mod retry;

use futures::future::BoxFuture;
use saga_operator::api::{RequestAction, Saga, SagaPhase, StepStatus};
use serde_json::{Value, json};

use crate::{fault::Counter, run::Run, stand::Stand};

/// The account that the steps of some stories impersonate.
pub const ACCOUNT: &str = "keeper";

/// All stories.
pub static ALL: [&Story; 14] = [
    &chain::STORY,
    &parallel::STORY,
    &retry::STORY,
    &compensation::STORY,
    &failed_compensation::STORY,
    &requests::STORY,
    &deletion::STORY,
    &approval::STORY,
    &child::STORY,
    &objects::STORY,
    &job::STORY,
    &circuit::STORY,
    &refused::STORY,
    &leader::STORY,
];

/// The actions of a user during a story.
pub type Doing<'a> = BoxFuture<'a, ()>;

/// One story.
pub struct Story {
    pub name: &'static str,
    /// The calls that are struck, with the maximum number of each kind, in addition to all writes
    /// for the saga.
    pub strikes: &'static [(Counter, usize)],
    pub needs_a_node: bool,
    /// Whether two operators work on the story with leader election.
    pub elects: bool,
    /// The additional arguments of the operators.
    pub arguments: &'static [&'static str],
    /// Prepares the behaviour of the shop and the initial objects.
    pub stage: for<'a> fn(&'a Scene<'a>) -> Doing<'a>,
    pub spec: fn(&Scene<'_>) -> Value,
    /// The actions of the users after the saga is created.
    pub told: for<'a> fn(&'a Scene<'a>) -> Doing<'a>,
    pub end: End,
    /// The steps that the shop did, and the steps that it undid, in this order.
    pub done: &'static [&'static str],
    pub undone: &'static [&'static str],
    /// The requests of the users. Each of them is answered once.
    pub asks: &'static [RequestAction],
    pub costs: Costs,
    /// Checks the other expected results.
    pub judge: fn(&Seen<'_>) -> Result<(), String>,
}

/// The end of a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The saga is in this phase, without a finalizer.
    In(SagaPhase),
    /// The saga is deleted.
    Gone,
}

/// How much a run may differ from a run without a fault.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// The number of attempts that run in parallel. Each of them may be lost with its operator.
    pub at_once: usize,
    /// The number of attempts that follow from a lost attempt.
    pub per_loss: usize,
    /// The number of additional attempts that any fault may cause.
    pub spare: usize,
    /// The number of status writes that a run may have more or less, because of the timing.
    pub blur: usize,
    /// The number of writes of others, in addition to the requests. Each of these writes may
    /// conflict with one write of the operator.
    pub met: usize,
    /// The number of requests that may be too late to have an effect.
    pub late: usize,
}

/// One attempt at a time, and no variation.
const USUAL: Costs = Costs { at_once: 1, per_loss: 1, spare: 0, blur: 0, met: 0, late: 0 };

/// The default values of a story.
const PLAIN: Story = Story {
    name: "",
    strikes: &[(Counter::Trial, 2), (Counter::Read, 2)],
    needs_a_node: false,
    elects: false,
    arguments: &[],
    stage: |_| Box::pin(async {}),
    spec: |_| Value::Null,
    told: |_| Box::pin(async {}),
    end: End::In(SagaPhase::Completed),
    done: &[],
    undone: &[],
    asks: &[],
    costs: USUAL,
    judge: |_| Ok(()),
};

/// The scene of a story.
pub struct Scene<'a> {
    pub stand: &'a Stand,
    /// The name of the saga. It is also the prefix of the names of all objects that belong to the
    /// saga.
    pub name: &'a str,
    pub node: bool,
}

impl Scene<'_> {
    /// Sets the behaviour of the shop.
    fn shop(&self, rules: &Value) {
        self.stand.shop.behave(rules).unwrap();
    }

    /// Sends a request to the saga by annotation. Waits until the request is answered as number
    /// `number`.
    async fn ask(&self, action: RequestAction, value: &str, number: i64) {
        let ask = json!({"metadata": {"annotations": {action.annotation(): value}}});
        self.stand.patch(self.name, &ask).await.unwrap();
        self.stand.answer(self.name, number).await;
    }
}

/// The input of a judge.
pub struct Seen<'a> {
    pub scene: &'a Scene<'a>,
    pub run: &'a Run,
}

impl Seen<'_> {
    pub fn saga(&self) -> &Saga {
        &self.run.saga
    }

    pub fn step(&self, name: &str) -> &StepStatus {
        crate::stand::step(self.saga(), name)
    }
}

/// Returns the sentence as an error if the condition is false.
pub fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Returns a rule of the shop for the actions of one service.
fn actions(service: &str, then: &Value) -> Value {
    json!({"match": {"service": service, "direction": "action"}, "then": then})
}
