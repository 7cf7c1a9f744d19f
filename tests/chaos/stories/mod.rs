//! The stories that the sweep tells, a file each: what a saga is about, what people do meanwhile,
//! and what must have come of it.

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

/// The account that the steps of some stories act as.
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

/// What somebody does while a story is told.
pub type Doing<'a> = BoxFuture<'a, ()>;

/// One story.
pub struct Story {
    pub name: &'static str,
    /// Which calls are struck, and at most how many of each kind, besides all that are writes for
    /// the saga.
    pub strikes: &'static [(Counter, usize)],
    pub needs_a_node: bool,
    /// Whether two operators work on it of which one leads.
    pub elects: bool,
    /// What its operators are started with.
    pub arguments: &'static [&'static str],
    /// How the shop behaves at first; what is there before.
    pub stage: for<'a> fn(&'a Scene<'a>) -> Doing<'a>,
    pub spec: fn(&Scene<'_>) -> Value,
    /// What people do once the saga is there.
    pub told: for<'a> fn(&'a Scene<'a>) -> Doing<'a>,
    pub end: End,
    /// The steps that the shop did, and undid, in this order.
    pub done: &'static [&'static str],
    pub undone: &'static [&'static str],
    /// What was asked for, each answered once.
    pub asks: &'static [RequestAction],
    pub costs: Costs,
    /// What else must have come of it.
    pub judge: fn(&Seen<'_>) -> Result<(), String>,
}

/// How a story ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In this phase, without a finalizer.
    In(SagaPhase),
    /// The saga is gone.
    Gone,
}

/// How much a run may differ from one without a fault.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// Attempts under way at once, each of which may be lost with its operator.
    pub at_once: usize,
    /// Attempts that follow from a lost one.
    pub per_loss: usize,
    /// Attempts more that any fault may cost.
    pub spare: usize,
    /// Status writes more, or fewer, that come of how long things take.
    pub blur: usize,
    /// Writes of others, besides what they ask for, each of which may come before one of the
    /// operator's.
    pub met: usize,
    /// Requests that may come too late to do anything.
    pub late: usize,
}

/// One attempt at a time, and nothing by chance.
const USUAL: Costs = Costs { at_once: 1, per_loss: 1, spare: 0, blur: 0, met: 0, late: 0 };

/// A story without anything special about it.
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

/// Where a story is told.
pub struct Scene<'a> {
    pub stand: &'a Stand,
    /// The saga's name, and how the names of all that belongs to it begin.
    pub name: &'a str,
    pub node: bool,
}

impl Scene<'_> {
    /// Tells the shop how to behave.
    fn shop(&self, rules: &Value) {
        self.stand.shop.behave(rules).unwrap();
    }

    /// Asks the saga for something, and waits until that is answered as its `number`th request.
    async fn ask(&self, action: RequestAction, value: &str, number: i64) {
        let ask = json!({"metadata": {"annotations": {action.annotation(): value}}});
        self.stand.patch(self.name, &ask).await.unwrap();
        self.stand.answer(self.name, number).await;
    }
}

/// What a judge looks at.
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

/// Fails with a sentence unless something holds.
pub fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// A rule of the shop for the actions of one service.
fn actions(service: &str, then: &Value) -> Value {
    json!({"match": {"service": service, "direction": "action"}, "then": then})
}
