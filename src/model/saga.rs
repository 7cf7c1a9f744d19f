//! A saga that passed every check: every name is resolved, every default is applied, and every
//! literal is unescaped.
//!
//! Only [`crate::validate::saga`] creates it.

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

/// A saga whose spec passed every check. Values that the spec does not set have their defaults.
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
    /// The ServiceAccount that the steps use.
    pub service_account: String,
    /// Whether a pod of one container gets an API token although the step does not ask for it, as
    /// under the earlier version that accepted the saga.
    pub tokens_unasked: bool,
    /// How many steps may be active at once, at least 1.
    pub max_parallel: usize,
    /// What happens after a step failed permanently.
    pub on_failure: OnFailure,
    /// How long the saga may go forward.
    pub timeout: Option<Duration>,
    /// How long after its end the saga is deleted.
    pub ttl: Option<Duration>,
    /// Whether nothing new may start.
    pub suspend: bool,
    /// What happens to an unfinished saga that is deleted.
    pub deletion_policy: DeletionPolicy,
    /// How often a user may request a retry.
    pub max_retry_requests: i64,
    /// What expressions read as `params`.
    pub params: Map<String, Value>,
    /// The outputs of the saga once it is Completed.
    pub outputs: Option<Template>,
    /// The faults that this version finds in accepted fields that can no longer be changed.
    pub doubts: Vec<Fault>,
    /// The numbers of the spec below a floor or above a limit, each with what is used instead.
    pub raised: Vec<Fault>,
    /// The steps, in list order; at least one, at most 128.
    pub steps: Vec<ValidStep>,
}

/// A step of a [`ValidSaga`].
#[derive(Clone, Debug, PartialEq)]
pub struct ValidStep {
    /// The name, unique within the saga.
    pub name: String,
    /// The indices of the steps that the step depends on, each lower than its own.
    pub depends_on: Vec<usize>,
    /// Whether the saga is never undone once this step is done.
    pub pivot: bool,
    /// Whether the step is undone although it failed.
    pub compensate_failed: bool,
    /// Whether the step is left out of the precheck.
    pub unchecked: bool,
    /// The condition under which the step runs; `None` if it always runs.
    pub when: Option<Expression>,
    /// What the step does.
    pub action: Operation,
    /// The outputs that the step takes from the answer to its HTTP request.
    pub outputs: Option<Template>,
    /// What undoes the step.
    pub compensation: Option<Operation>,
}

/// One action or compensation with its effective limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// What is done. Its strings are literal: `$${` has become `${`. If there is a template, the
    /// strings are as written.
    pub work: Work,
    /// The action, if it holds expressions. Then [`Operation::resolve`] returns what is done.
    pub template: Option<Template>,
    /// Whether an answer is a success.
    pub expect: Option<Expression>,
    /// Rules that say what answers mean. The first rule that holds decides, before all built-in
    /// rules.
    pub answers: Vec<Rule>,
    /// Whether an object is as the step wants it.
    pub until: Option<Expression>,
    /// The time limit of one attempt; [`Duration::MAX`] if there is none.
    pub timeout: Duration,
    /// The retry policy.
    pub retry: Retry,
}

/// A rule that says what an answer means.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The answers that the rule applies to.
    pub when: Expression,
    /// What these answers mean.
    pub outcome: AnswerOutcome,
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Runs a container to its end.
    Pod(PodAction),
    /// Runs a Job to its end.
    Job(JobAction),
    /// Sends an HTTP request.
    Http(HttpAction),
    /// Applies an object, and waits until it is ready.
    Apply(ApplyAction),
    /// Deletes an object, and waits until it is gone.
    Delete(ObjectRef),
    /// Waits until an object is as it should be.
    Until(ObjectRef),
    /// Runs a child saga to its end.
    Saga(SagaAction),
    /// Undoes the child saga of the step's action.
    UndoSaga,
    /// Waits for a user.
    Approval(ApprovalAction),
    /// Waits for this duration.
    Wait(Duration),
}

/// An effective retry policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// The most attempts of a budget, including the first; at least 1, at most 1000.
    pub max_attempts: u32,
    /// The time limit for all attempts of a budget together.
    pub deadline: Option<Duration>,
    /// How the delay grows.
    pub backoff: BackoffType,
    /// The delay after the first attempt as written; positive. A delay has a floor besides.
    pub initial_delay: Duration,
    /// The longest delay as written; at least `initial_delay`.
    pub max_delay: Duration,
    /// The random part of the delay, 0 to 1.
    pub jitter: f64,
}

/// The identity of an attempt. The service receives it in environment variables or headers.
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
    /// Creates an operation without expressions.
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

    /// Returns what is done, with every expression evaluated.
    ///
    /// # Errors
    /// One line that names the field, the expression and the error.
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

    /// Returns `pod`, `job`, `http`, `apply`, `delete`, `saga`, `approval` or `wait`, as in the
    /// spec and in metrics.
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

    /// Returns whether the operation is only a state of the saga: the operator sends or creates
    /// nothing for it, and nothing of it is ever in effect.
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

    /// Returns whether nothing of the operation is ever in effect: it waits, or it is an HTTP
    /// request whose method only reads.
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

    /// Returns whether the operation may be repeated after an attempt with an Unknown outcome. This
    /// is so if its policy allows more than one attempt, or if it is an HTTP request with an
    /// idempotent method.
    #[must_use]
    pub const fn may_be_repeated(&self) -> bool {
        let idempotent = matches!(&self.work, Work::Http(action) if action.method.is_idempotent());
        idempotent || self.retry.max_attempts > 1
    }

    /// Returns whether the operation is about an object of the cluster. Such an operation reads the
    /// object again and again, and is never stopped.
    #[must_use]
    pub const fn is_about_an_object(&self) -> bool {
        matches!(self.work, Work::Apply(_) | Work::Delete(_) | Work::Until(_))
    }

    /// Returns whether the operation deletes an object. The object is deleted under the UID that
    /// the status names. The UID is written to the status before anything is sent.
    #[must_use]
    pub const fn deletes(&self) -> bool {
        matches!(self.work, Work::Delete(_))
    }

    /// Returns the kind of child that the operation creates, in one or two words.
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

/// Deserializes an action from the value of its template.
fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| error.to_string())
}

impl ValidSaga {
    /// Returns whether the saga contains an expression.
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

    /// Returns whether any step or compensation is a saga.
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
    /// Returns what the step does in a direction.
    #[must_use]
    pub const fn operation(&self, direction: Direction) -> Option<&Operation> {
        match direction {
            Direction::Action => Some(&self.action),
            Direction::Compensation => self.compensation.as_ref(),
        }
    }

    /// Returns whether nothing of the step is ever in effect, because the step only waits or reads.
    /// A step with a compensation does not count, because the compensation must be carried out.
    #[must_use]
    pub const fn leaves_nothing(&self) -> bool {
        self.action.never_in_effect() && self.compensation.is_none()
    }
}

/// The identity of a saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SagaName {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`.
    pub uid: String,
}
