//! Sagas written in one line each.

use saga_operator::api::{
    ApprovalAction, Backoff, BackoffType, Compensation, Defaults, DeletionPolicy, GoDuration,
    HttpAction, HttpMethod, OnFailure, PodAction, RetryPolicy, SagaSpec, Step, WaitAction,
};
use serde_json::json;

/// A spec under construction. Methods without a name apply to the step that was named last.
#[derive(Clone, Debug)]
pub struct Draft(pub SagaSpec);

/// Creates a saga without steps, with every default.
pub fn saga() -> Draft {
    Draft(SagaSpec {
        service_account_name: None,
        idempotency_prefix: None,
        params: None,
        max_parallel: None,
        on_failure: None,
        timeout: None,
        ttl_seconds_after_finished: None,
        suspend: None,
        deletion_policy: None,
        max_retry_requests: None,
        defaults: None,
        outputs: None,
        steps: Vec::new(),
    })
}

impl Draft {
    pub fn http(mut self, name: &str) -> Self {
        self.0.steps.push(Step { name: name.into(), http: Some(request(name)), ..Step::default() });
        self
    }

    pub fn pod(mut self, name: &str) -> Self {
        self.0.steps.push(Step {
            name: name.into(),
            pod: Some(container(name)),
            ..Step::default()
        });
        self
    }

    /// Adds an HTTP request after the step that was named last.
    pub fn then_http(self, name: &str) -> Self {
        let before = self.last_name();
        self.http(name).after(&[&before])
    }

    /// Adds a container after the step that was named last.
    pub fn then_pod(self, name: &str) -> Self {
        let before = self.last_name();
        self.pod(name).after(&[&before])
    }

    pub fn after(mut self, names: &[&str]) -> Self {
        self.last().depends_on = Some(names.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    /// Compensates the last step by an HTTP request.
    pub fn undo(mut self) -> Self {
        let http = Some(request(&format!("undo-{}", self.last_name())));
        self.last().compensation = Some(Compensation { http, ..Compensation::default() });
        self
    }

    /// Compensates the last step by a container.
    pub fn undo_by_pod(mut self) -> Self {
        let pod = Some(container(&format!("undo-{}", self.last_name())));
        self.last().compensation = Some(Compensation { pod, ..Compensation::default() });
        self
    }

    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.last().retry = Some(policy);
        self
    }

    pub fn undo_retry(mut self, policy: RetryPolicy) -> Self {
        self.last().compensation.as_mut().expect("undo() first").retry = Some(policy);
        self
    }

    pub fn timeout(mut self, text: &str) -> Self {
        self.last().timeout = Some(duration(text));
        self
    }

    pub fn undo_timeout(mut self, text: &str) -> Self {
        self.last().compensation.as_mut().expect("undo() first").timeout = Some(duration(text));
        self
    }

    pub fn pivot(mut self) -> Self {
        self.last().pivot = Some(true);
        self
    }

    pub fn compensate_failed(mut self, value: bool) -> Self {
        self.last().compensate_failed = Some(value);
        self
    }

    /// Makes the last step a GET without a body, which changes nothing.
    pub fn asking(mut self) -> Self {
        let http = self.last().http.as_mut().expect("http() first");
        (http.method, http.body) = (HttpMethod::Get, None);
        self
    }

    /// Adds a step that waits for a user.
    pub fn approval(mut self, name: &str) -> Self {
        self.0.steps.push(Step {
            name: name.into(),
            approval: Some(ApprovalAction::default()),
            ..Step::default()
        });
        self
    }

    /// Adds a step that waits for this duration.
    pub fn wait(mut self, name: &str, text: &str) -> Self {
        self.0.steps.push(Step {
            name: name.into(),
            wait: Some(WaitAction { duration: Some(duration(text)), ..WaitAction::default() }),
            ..Step::default()
        });
        self
    }

    /// Sets the timeout of the saga.
    pub fn within(mut self, text: &str) -> Self {
        self.0.timeout = Some(duration(text));
        self
    }

    /// Deletes the saga this many seconds after its end.
    pub fn ttl(mut self, seconds: i32) -> Self {
        self.0.ttl_seconds_after_finished = Some(seconds);
        self
    }

    pub fn parallel(mut self, most: i32) -> Self {
        self.0.max_parallel = Some(most);
        self
    }

    /// Sets `onFailure: Compensate`.
    pub fn compensating(mut self) -> Self {
        self.0.on_failure = Some(OnFailure::Compensate);
        self
    }

    pub fn suspended(mut self) -> Self {
        self.0.suspend = Some(true);
        self
    }

    pub fn abandoned_when_deleted(mut self) -> Self {
        self.0.deletion_policy = Some(DeletionPolicy::Abandon);
        self
    }

    pub fn defaults(mut self, defaults: Defaults) -> Self {
        self.0.defaults = Some(defaults);
        self
    }

    fn last(&mut self) -> &mut Step {
        self.0.steps.last_mut().expect("name a step first")
    }

    fn last_name(&self) -> String {
        self.0.steps.last().expect("name a step first").name.clone()
    }
}

/// Returns a policy of this many attempts, with the built-in backoff.
pub fn attempts(most: i32) -> RetryPolicy {
    RetryPolicy { max_attempts: Some(most), ..RetryPolicy::default() }
}

/// The methods that change a retry policy.
pub trait Policy: Sized {
    fn with(self, change: impl FnOnce(&mut Backoff)) -> Self;
    fn deadline(self, text: &str) -> Self;

    fn always(self, delay: &str) -> Self {
        self.with(|backoff| {
            (backoff.kind, backoff.initial_delay) =
                (Some(BackoffType::None), Some(duration(delay)));
        })
    }

    fn linear(self, initial: &str) -> Self {
        self.with(|backoff| {
            (backoff.kind, backoff.initial_delay) =
                (Some(BackoffType::Linear), Some(duration(initial)));
        })
    }

    fn exponential(self, initial: &str) -> Self {
        self.with(|backoff| {
            (backoff.kind, backoff.initial_delay) =
                (Some(BackoffType::Exponential), Some(duration(initial)));
        })
    }

    fn at_most(self, cap: &str) -> Self {
        self.with(|backoff| backoff.max_delay = Some(duration(cap)))
    }

    fn jitter(self, part: f64) -> Self {
        self.with(|backoff| backoff.jitter = Some(part))
    }
}

impl Policy for RetryPolicy {
    fn with(mut self, change: impl FnOnce(&mut Backoff)) -> Self {
        change(self.backoff.get_or_insert_default());
        self
    }

    fn deadline(mut self, text: &str) -> Self {
        self.deadline = Some(duration(text));
        self
    }
}

pub fn duration(text: &str) -> GoDuration {
    serde_json::from_value(json!(text)).expect("a Go duration")
}

fn request(name: &str) -> HttpAction {
    HttpAction {
        method: HttpMethod::Post,
        url: format!("http://{name}.shop.svc/calls"),
        headers: None,
        body: Some(json!({"order": "1042"})),
        expect: None,
        answers: None,
        tls: None,
    }
}

fn container(name: &str) -> PodAction {
    PodAction { image: Some(format!("registry.example.com/{name}:1")), ..PodAction::default() }
}

/// Returns defaults under which every operation has one attempt.
pub fn no_retry() -> Defaults {
    Defaults { timeout: None, retry: Some(attempts(1)), compensation_retry: Some(attempts(1)) }
}
