//! From what a user wrote to a saga that cannot be wrong, or to all the reasons why it is.
//!
//! # Guarantees
//! Every rule that the schema holds is checked again here, since a CRD can be older than the operator, with the same words. All faults
//! are found, not just the first; each names its field path and says what to write instead.

mod policy;

use std::{collections::HashMap, fmt, time::Duration};

use super::{
    literal,
    saga::{Operation, ValidSaga, ValidStep, Work},
};
use crate::api::{
    Compensation, DEFAULT_RETRY_REQUESTS, Defaults, GoDuration, Header, HttpAction, MAX_DEPENDENCIES, MAX_STEPS, PodAction, RetryPolicy,
    SagaSpec, SecretKey, Step,
    names::{is_dns_label, is_token},
};
use crate::objects::pod::check_resources;

const HTTP_TIMEOUT: Duration = Duration::from_secs(30);
const POD_TIMEOUT: Duration = Duration::from_hours(1);
const ACTION_ATTEMPTS: i32 = 1;
const COMPENSATION_ATTEMPTS: i32 = 10;
const MAX_PARALLEL: i32 = 64;
/// The most retry requests that may be allowed.
const MAX_RETRY_REQUESTS: i32 = 1000;
/// Headers that belong to the operator or to the connection.
const RESERVED_HEADERS: [&str; 9] =
    ["idempotency-key", "saga-attempt", "host", "content-length", "connection", "transfer-encoding", "upgrade", "te", "trailer"];

/// One thing that is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `spec.steps[2].dependsOn[0]`.
    pub path: String,
    /// What, and what to write instead.
    pub message: String,
}

impl Fault {
    /// A fault at a path.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
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

/// Checks a spec and fills in what applies where it sets nothing.
///
/// # Errors
/// All faults of the spec, in the order of its fields; never empty.
pub fn validate(who: &SagaName, spec: &SagaSpec) -> Result<ValidSaga, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut check = |ok: bool, path: &str, message: &str| {
        if !ok {
            faults.push(Fault::new(path, message));
        }
    };
    check(who.name.len() <= 63, "metadata.name", "a saga's name may have at most 63 characters");
    check(
        spec.idempotency_prefix.as_deref().is_none_or(is_token),
        "spec.idempotencyPrefix",
        "must have 1 to 63 letters, digits, dots, underscores and dashes",
    );
    check(
        spec.service_account_name.as_deref().is_none_or(is_object_name),
        "spec.serviceAccountName",
        "must be the name of a ServiceAccount",
    );
    let max_parallel = spec.max_parallel.unwrap_or(1);
    check((1..=MAX_PARALLEL).contains(&max_parallel), "spec.maxParallel", "must be 1 to 64");
    let max_retry_requests = spec.max_retry_requests.unwrap_or(DEFAULT_RETRY_REQUESTS);
    check((0..=MAX_RETRY_REQUESTS).contains(&max_retry_requests), "spec.maxRetryRequests", "must be 0 to 1000");
    check((1..=MAX_STEPS).contains(&spec.steps.len()), "spec.steps", "must have 1 to 128 steps");
    let defaults = spec.defaults.clone().unwrap_or_default();
    policy::check_defaults(&defaults, &mut faults);
    let steps = validate_steps(&spec.steps, &defaults, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(ValidSaga {
        name: who.name.clone(),
        namespace: who.namespace.clone(),
        uid: who.uid.clone(),
        key_scope: spec.idempotency_prefix.clone().unwrap_or_else(|| who.uid.clone()),
        service_account: spec.service_account_name.clone().unwrap_or_else(|| "default".into()),
        max_parallel: usize::try_from(max_parallel).unwrap_or(1),
        on_failure: spec.on_failure.unwrap_or_default(),
        suspend: spec.suspend.unwrap_or_default(),
        deletion_policy: spec.deletion_policy.unwrap_or_default(),
        max_retry_requests: max_retry_requests.into(),
        steps,
    })
}

fn validate_steps(steps: &[Step], defaults: &Defaults, faults: &mut Vec<Fault>) -> Vec<ValidStep> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut valid = Vec::with_capacity(steps.len());
    for (place, step) in steps.iter().enumerate() {
        let path = format!("spec.steps[{place}]");
        if !is_dns_label(&step.name) {
            let message = "must be a DNS label: lower-case letters, digits and dashes, such as reserve-stock";
            faults.push(Fault::new(format!("{path}.name"), message));
        }
        let depends_on = dependencies(step, &places, &path, faults);
        if places.insert(&step.name, place).is_some() {
            faults.push(Fault::new(format!("{path}.name"), format!("another step is named {} already: choose another name", step.name)));
        }
        let action = Written { pod: &step.pod, http: &step.http, timeout: step.timeout, retry: step.retry.as_ref() };
        let action = operation(&action, defaults, defaults.retry.as_ref(), ACTION_ATTEMPTS, &path, faults);
        let compensation = step.compensation.as_ref().map(|compensation| {
            let Compensation { timeout, retry, pod, http } = compensation;
            let written = Written { pod, http, timeout: *timeout, retry: retry.as_ref() };
            let path = format!("{path}.compensation");
            operation(&written, defaults, defaults.compensation_retry.as_ref(), COMPENSATION_ATTEMPTS, &path, faults)
        });
        // A missing operation has left its fault: the list is used only where there is none.
        if let Some(action) = action {
            let compensate_failed = step.compensate_failed.unwrap_or(matches!(action.work, Work::Pod(_)));
            let name = step.name.clone();
            let pivot = step.pivot.unwrap_or_default();
            valid.push(ValidStep { name, depends_on, pivot, compensate_failed, action, compensation: compensation.flatten() });
        }
    }
    valid
}

fn dependencies(step: &Step, places: &HashMap<&str, usize>, path: &str, faults: &mut Vec<Fault>) -> Vec<usize> {
    let names = step.depends_on.as_deref().unwrap_or_default();
    if names.len() > MAX_DEPENDENCIES {
        faults.push(Fault::new(format!("{path}.dependsOn"), "may name at most 16 steps"));
    }
    let mut found = Vec::with_capacity(names.len());
    for (nth, name) in names.iter().enumerate() {
        if names.iter().take(nth).any(|earlier| earlier == name) {
            faults.push(Fault::new(format!("{path}.dependsOn[{nth}]"), "names a step twice: name it once"));
        }
        match places.get(name.as_str()) {
            Some(place) => found.push(*place),
            None => faults.push(Fault::new(
                format!("{path}.dependsOn[{nth}]"),
                format!("no step named {name} stands above this one: dependsOn may name only steps above it in the list"),
            )),
        }
    }
    found
}

/// An operation as written: of a step, or of its compensation.
struct Written<'a> {
    pod: &'a Option<PodAction>,
    http: &'a Option<HttpAction>,
    timeout: Option<GoDuration>,
    retry: Option<&'a RetryPolicy>,
}

fn operation(
    written: &Written<'_>,
    defaults: &Defaults,
    default_retry: Option<&RetryPolicy>,
    attempts: i32,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Option<Operation> {
    let found_before = faults.len();
    let work = match (written.pod, written.http) {
        (Some(action), None) => pod(action, &format!("{path}.pod"), faults).map(Work::Pod),
        (None, Some(action)) => http(action, &format!("{path}.http"), faults).map(Work::Http),
        (Some(_), Some(_)) | (None, None) => {
            faults.push(Fault::new(path, "has exactly one action: set one of pod and http"));
            None
        }
    };
    let built_in = if matches!(work, Some(Work::Http(_))) { HTTP_TIMEOUT } else { POD_TIMEOUT };
    policy::check_duration(written.timeout, &format!("{path}.timeout"), faults);
    let timeout = written.timeout.or(defaults.timeout).and_then(GoDuration::positive).unwrap_or(built_in);
    let retry = policy::effective(written.retry, default_retry, attempts, &format!("{path}.retry"), faults);
    let work = work.filter(|_| faults.len() == found_before)?;
    Some(Operation { work, timeout, retry })
}

/// A list or a text that is too long, as the schema counts.
fn limit(length: usize, most: usize, what: &str, path: &str, faults: &mut Vec<Fault>) {
    if length > most {
        faults.push(Fault::new(path, format!("has {length} {what}: at most {most} are taken")));
    }
}

fn pod(action: &PodAction, path: &str, faults: &mut Vec<Fault>) -> Option<PodAction> {
    let PodAction { image, command, args, env, env_from, resources: _ } = action;
    if image.is_empty() {
        faults.push(Fault::new(format!("{path}.image"), "must name an image"));
    }
    limit(image.chars().count(), 1024, "characters", &format!("{path}.image"), faults);
    limit(command.iter().flatten().count(), 256, "entries", &format!("{path}.command"), faults);
    limit(args.iter().flatten().count(), 256, "entries", &format!("{path}.args"), faults);
    limit(env.iter().flatten().count(), 128, "entries", &format!("{path}.env"), faults);
    limit(env_from.iter().flatten().count(), 32, "entries", &format!("{path}.envFrom"), faults);
    for (place, variable) in env.iter().flatten().enumerate() {
        if variable.name.starts_with("SAGA_") {
            let message = "names that begin with SAGA_ are set by the operator: choose another name";
            faults.push(Fault::new(format!("{path}.env[{place}].name"), message));
        }
    }
    let action: PodAction = resolved(action, path, faults)?;
    if let Some(Err(message)) = action.resources.as_ref().map(check_resources) {
        faults.push(Fault::new(path, message));
    }
    Some(action)
}

fn http(action: &HttpAction, path: &str, faults: &mut Vec<Fault>) -> Option<HttpAction> {
    limit(action.url.chars().count(), 2048, "characters", &format!("{path}.url"), faults);
    limit(action.headers.iter().flatten().count(), 32, "entries", &format!("{path}.headers"), faults);
    for (place, header) in action.headers.iter().flatten().enumerate() {
        let Header { name, value, value_from } = header;
        let path = format!("{path}.headers[{place}]");
        if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            faults.push(Fault::new(format!("{path}.name"), format!("{name} is set by the operator: leave this header out")));
        }
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            let message = "must be a header name of letters, digits and dashes, such as Authorization";
            faults.push(Fault::new(format!("{path}.name"), message));
        }
        if value.is_some() == value_from.is_some() {
            faults.push(Fault::new(&path, "set exactly one of value and valueFrom"));
        }
        if value.iter().any(|value| value.chars().any(|letter| letter.is_control() && letter != '\t')) {
            let message = "holds a line break or another control character: take it out (in YAML, write |- instead of |)";
            faults.push(Fault::new(format!("{path}.value"), message));
        }
        limit(value.iter().flat_map(|value| value.chars()).count(), 8192, "characters", &format!("{path}.value"), faults);
        // A name with a slash in it would be another path of the API.
        let secret = value_from.as_ref().map(|from| &from.secret_key_ref);
        if secret.is_some_and(|SecretKey { name, key }| !is_object_name(name) || !is_secret_key(key)) {
            faults.push(Fault::new(format!("{path}.valueFrom.secretKeyRef"), "must name a Secret and a key of its data"));
        }
    }
    let action = resolved(action, path, faults)?;
    if !is_url(&action.url) {
        let message = "must begin with http:// or https:// and a host, without a user name: http://stock.shop.svc/reservations";
        faults.push(Fault::new(format!("{path}.url"), message));
    }
    Some(action)
}

fn resolved<T: serde::Serialize + serde::de::DeserializeOwned>(action: &T, path: &str, faults: &mut Vec<Fault>) -> Option<T> {
    literal::resolve(action, path).map_err(|found| faults.extend(found)).ok()
}

fn is_object_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with(['-', '.']) && !text.ends_with(['-', '.'])
}

fn is_secret_key(text: &str) -> bool {
    (1..=253).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// Whether a text is an absolute http(s) URL with a host and without user information; what a host may resolve to is judged at each call.
fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|authority| !authority.is_empty() && !authority.contains(['@', ' '])) && url::Url::parse(text).is_ok()
}
