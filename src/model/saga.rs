//! A saga that cannot be wrong: every name resolved, every value effective, every literal
//! unescaped.
//!
//! Made only by [`crate::validate::saga`].

use std::{borrow::Cow, time::Duration};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    api::{
        AnswerOutcome, ApplyAction, ApprovalAction, BackoffType, DeletionPolicy, Direction,
        HttpAction, JobAction, ObjectRef, OnFailure, PodAction, SagaAction, names::AttemptId,
    },
    expression::{program::Expression, scope::Scope, template::Template},
    fault::Fault,
};

/// A saga whose spec passed every check, with the values that apply where the spec sets none.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidSaga {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`.
    pub uid: String,
    /// The first part of every idempotency key: `idempotencyPrefix`, or the UID.
    pub key_scope: String,
    /// The ServiceAccount the steps act as.
    pub service_account: String,
    /// How many steps may be active at once, at least 1.
    pub max_parallel: usize,
    /// What happens when a step failed for good.
    pub on_failure: OnFailure,
    /// How long the saga may go forward.
    pub timeout: Option<Duration>,
    /// After what time the saga is deleted once it ended.
    pub ttl: Option<Duration>,
    /// Whether nothing new may start.
    pub suspend: bool,
    /// What happens to an unfinished saga that is deleted.
    pub deletion_policy: DeletionPolicy,
    /// How often a person may ask for a retry.
    pub max_retry_requests: i64,
    /// What expressions read as `params`.
    pub params: Map<String, Value>,
    /// What the saga hands on once it is Completed.
    pub outputs: Option<Template>,
    /// What this version finds wrong with what was accepted, and nobody can change any more.
    pub doubts: Vec<Fault>,
    /// The steps, in list order; at least one, at most 128.
    pub steps: Vec<ValidStep>,
}

/// A step of a [`ValidSaga`].
#[derive(Clone, Debug, PartialEq)]
pub struct ValidStep {
    /// Unique within the saga.
    pub name: String,
    /// Indices of the steps it depends on, each lower than its own.
    pub depends_on: Vec<usize>,
    /// Whether the saga is never undone once this step is done.
    pub pivot: bool,
    /// Whether the step is undone although it failed.
    pub compensate_failed: bool,
    /// Whether it is not tried before the first step runs.
    pub unchecked: bool,
    /// Whether the step is wanted at all.
    pub when: Option<Expression>,
    /// What the step does.
    pub action: Operation,
    /// What the step hands on of the answer to its request.
    pub outputs: Option<Template>,
    /// What undoes it.
    pub compensation: Option<Operation>,
}

/// One action or compensation with its effective limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// What is done. Its strings are literal, `$${` has become `${`; where there is a template they
    /// are as they are written.
    pub work: Work,
    /// The action where it holds expressions: then [`Operation::resolve`] tells what is done.
    pub template: Option<Template>,
    /// Whether an answer is a success.
    pub expect: Option<Expression>,
    /// What answers mean, before all that is built in; the first rule that holds decides.
    pub answers: Vec<Rule>,
    /// Whether an object is as the step wants it.
    pub until: Option<Expression>,
    /// The time limit of one attempt; [`Duration::MAX`] where there is none.
    pub timeout: Duration,
    /// How it is retried.
    pub retry: Retry,
}

/// What an answer means for which an expression holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// For which answers.
    pub when: Expression,
    /// What they mean.
    pub outcome: AnswerOutcome,
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Runs a container to its end.
    Pod(PodAction),
    /// Runs a Job to its end.
    Job(JobAction),
    /// Sends a request.
    Http(HttpAction),
    /// Applies an object, and waits until it is ready.
    Apply(ApplyAction),
    /// Deletes an object, and waits until it is gone.
    Delete(ObjectRef),
    /// Waits until an object is as it should be.
    Until(ObjectRef),
    /// Carries a child saga through.
    Saga(SagaAction),
    /// Undoes the child saga of the step's action.
    UndoSaga,
    /// Waits for a person.
    Approval(ApprovalAction),
    /// Waits for so long.
    Wait(Duration),
}

/// An effective retry policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// All attempts of a budget, the first included; at least 1.
    pub max_attempts: u32,
    /// How long all attempts of a budget together may take.
    pub deadline: Option<Duration>,
    /// How the delay grows.
    pub backoff: BackoffType,
    /// The delay after the first attempt; positive.
    pub initial_delay: Duration,
    /// The longest delay; at least `initial_delay`.
    pub max_delay: Duration,
    /// 0 to 1.
    pub jitter: f64,
}

/// Who an attempt is: handed to the other side as environment or headers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// `metadata.name` of the saga.
    pub saga: String,
    /// `metadata.namespace` of the saga.
    pub namespace: String,
    /// `metadata.uid` of the saga.
    pub uid: String,
    /// The attempt.
    pub attempt: AttemptId,
    /// The idempotency key.
    pub key: String,
}

impl Operation {
    /// An operation without expressions.
    #[must_use]
    pub const fn new(work: Work, timeout: Duration, retry: Retry) -> Self {
        Self {
            work,
            template: None,
            expect: None,
            answers: Vec::new(),
            until: None,
            timeout,
            retry,
        }
    }

    /// What is done, with every expression evaluated.
    ///
    /// # Errors
    /// One line that names the field, the expression and what is wrong with it.
    pub fn resolve(&self, scope: &Scope<'_>) -> Result<Cow<'_, Work>, String> {
        let Some(template) = &self.template else { return Ok(Cow::Borrowed(&self.work)) };
        let value = template.evaluate(scope)?;
        Ok(Cow::Owned(match &self.work {
            Work::Pod(_) => Work::Pod(read(value)?),
            Work::Job(_) => Work::Job(read(value)?),
            Work::Http(_) => Work::Http(read(value)?),
            Work::Apply(_) => Work::Apply(read(value)?),
            Work::Delete(_) => Work::Delete(read(value)?),
            Work::Until(_) => Work::Until(read(value)?),
            Work::Saga(_) => Work::Saga(read(value)?),
            Work::UndoSaga => Work::UndoSaga,
            Work::Approval(_) => Work::Approval(read(value)?),
            Work::Wait(wait) => Work::Wait(*wait),
        }))
    }

    /// `pod`, `job`, `http`, `apply`, `delete`, `saga`, `approval` or `wait`, as in the spec and in
    /// metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.work {
            Work::Pod(_) => "pod",
            Work::Job(_) => "job",
            Work::Http(_) => "http",
            Work::Apply(_) => "apply",
            Work::Delete(_) => "delete",
            Work::Saga(_) | Work::UndoSaga => "saga",
            Work::Approval(_) => "approval",
            Work::Wait(_) | Work::Until(_) => "wait",
        }
    }

    /// Whether it is a state of the saga alone: nothing leaves the operator for it, and nothing is
    /// ever in effect.
    #[must_use]
    pub const fn only_waits(&self) -> bool {
        match self.work {
            Work::Approval(_) | Work::Wait(_) => true,
            Work::Pod(_)
            | Work::Job(_)
            | Work::Http(_)
            | Work::Apply(_)
            | Work::Delete(_)
            | Work::Until(_)
            | Work::Saga(_)
            | Work::UndoSaga => false,
        }
    }

    /// Whether nothing of it is ever in effect: it waits, or it is a request that by its method
    /// only asks.
    #[must_use]
    pub const fn never_in_effect(&self) -> bool {
        match &self.work {
            Work::Approval(_) | Work::Wait(_) | Work::Until(_) => true,
            Work::Http(action) => action.method.only_asks(),
            Work::Pod(_)
            | Work::Job(_)
            | Work::Apply(_)
            | Work::Delete(_)
            | Work::Saga(_)
            | Work::UndoSaga => false,
        }
    }

    /// Whether it may be done again although nobody can tell what became of an attempt: its policy
    /// allows more than one, or it is a request that by its method comes to the same when it is
    /// repeated.
    #[must_use]
    pub const fn may_be_repeated(&self) -> bool {
        let idempotent = matches!(&self.work, Work::Http(action) if action.method.is_idempotent());
        idempotent || self.retry.max_attempts > 1
    }

    /// Whether it is about an object of the cluster, which is looked at again and again, and is
    /// never stopped.
    #[must_use]
    pub const fn is_about_an_object(&self) -> bool {
        matches!(self.work, Work::Apply(_) | Work::Delete(_) | Work::Until(_))
    }

    /// Whether it deletes an object: under the UID that the status names, which is written before
    /// anything leaves.
    #[must_use]
    pub const fn deletes(&self) -> bool {
        matches!(self.work, Work::Delete(_))
    }

    /// What it makes, in a word.
    #[must_use]
    pub const fn child(&self) -> &'static str {
        match self.work {
            Work::Apply(_) | Work::Delete(_) | Work::Until(_) => "object",
            Work::Http(_) => "request",
            Work::Saga(_) | Work::UndoSaga => "child saga",
            Work::Job(_) => "Job",
            Work::Pod(_) | Work::Approval(_) | Work::Wait(_) => "Pod",
        }
    }
}

/// An action out of what its expressions gave.
fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| error.to_string())
}

impl ValidSaga {
    /// Whether anything in it is an expression.
    #[must_use]
    pub fn has_expressions(&self) -> bool {
        let dynamic = |operation: &Operation| {
            let Operation { template, expect, answers, until, .. } = operation;
            template.is_some() || expect.is_some() || !answers.is_empty() || until.is_some()
        };
        let step = |step: &ValidStep| {
            step.when.is_some()
                || step.outputs.is_some()
                || dynamic(&step.action)
                || step.compensation.as_ref().is_some_and(dynamic)
        };
        self.outputs.is_some() || self.steps.iter().any(step)
    }

    /// Whether any step or compensation of it is a saga.
    #[must_use]
    pub fn has_children(&self) -> bool {
        let both = |step: &'_ ValidStep| {
            [Direction::Action, Direction::Compensation].map(|direction| {
                step.operation(direction)
                    .is_some_and(|operation| matches!(operation.work, Work::Saga(_)))
            })
        };
        self.steps.iter().flat_map(both).any(|is_saga| is_saga)
    }
}

impl ValidStep {
    /// What the step does in a direction.
    #[must_use]
    pub const fn operation(&self, direction: Direction) -> Option<&Operation> {
        match direction {
            Direction::Action => Some(&self.action),
            Direction::Compensation => self.compensation.as_ref(),
        }
    }

    /// Whether nothing of the step is ever in effect: it only waits or asks. A compensation that is
    /// given to it all the same has to be carried out.
    #[must_use]
    pub const fn leaves_nothing(&self) -> bool {
        self.action.never_in_effect() && self.compensation.is_none()
    }
}

/// Who a saga is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SagaName {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`.
    pub uid: String,
}
