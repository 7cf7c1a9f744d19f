//! The calls to the API server, from its audit log.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use jiff::Timestamp;
use serde::Deserialize;

use crate::settings::given;

/// A step of a chain: the name of the chain, and the name of the step.
pub type Step = (String, String);

/// A call that has ended.
pub struct Call {
    pub user: String,
    /// The verb: `get`, `create`, …; `try` for a dry run.
    pub verb: String,
    /// The resource, with its subresource: `pods/status`.
    pub resource: String,
    pub name: String,
    pub code: u16,
    pub received: Timestamp,
    pub ended: Timestamp,
}

impl Call {
    /// Returns the verb and the resource, such as `create pods`.
    pub fn kind(&self) -> String {
        format!("{} {}", self.verb, self.resource)
    }

    pub fn is_read(&self) -> bool {
        ["get", "list"].contains(&self.verb.as_str())
    }

    pub fn is_write(&self) -> bool {
        !self.is_read() && !["watch", "try"].contains(&self.verb.as_str())
    }

    /// Returns the step of the Pod that this call is about. All contestants name the Pods of a step
    /// `<chain>-<step>…`.
    fn step(&self) -> Option<Step> {
        let mut parts = self.name.split('-').map(str::to_owned);
        Some((parts.next()?, parts.next()?))
    }
}

/// Returns the length of the log in bytes.
pub fn length() -> u64 {
    std::fs::metadata(given("SAGA_BENCH_AUDIT_LOG")).unwrap().len()
}

/// Returns the calls of one namespace that are logged after an offset.
pub fn calls(offset: u64, namespace: &str) -> Vec<Call> {
    let mut log = File::open(given("SAGA_BENCH_AUDIT_LOG")).unwrap();
    log.seek(SeekFrom::Start(offset)).unwrap();
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    // Each line is a JSON object that contains the namespace. The last line may be incomplete.
    let marked = format!("\"{namespace}\"");
    let lines = text
        .lines()
        .filter(|line| line.contains(&marked))
        .filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines
        .filter(|line| line.stage == "ResponseComplete" && line.object_ref.namespace == namespace)
        .map(Call::from)
        .collect()
}

/// Returns the times from the end of a step's Pod to the creation of the next Pod, in milliseconds.
/// The end of a Pod is the last write of its status before that creation. A later write only
/// repeats the end.
pub fn delays(calls: &[Call], user: &str) -> Vec<f64> {
    let mut writes: BTreeMap<Step, Vec<&Call>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.resource == "pods/status" && call.code < 300) {
        if let Some(step) = call.step() {
            writes.entry(step).or_default().push(call);
        }
    }
    let delay = |(step, begun): (Step, &Call)| {
        let end = writes
            .get(&before(&step)?)?
            .iter()
            .filter(|write| write.received < begun.received)
            .map(|write| write.ended)
            .max()?;
        Some(milliseconds(end, begun.received))
    };
    created(calls, user).filter_map(delay).collect()
}

/// Returns how often the Pod of each step was created.
pub fn pods(calls: &[Call], user: &str) -> BTreeMap<Step, usize> {
    let mut pods = BTreeMap::new();
    for (step, _) in created(calls, user) {
        *pods.entry(step).or_default() += 1;
    }
    pods
}

fn created<'a>(calls: &'a [Call], user: &str) -> impl Iterator<Item = (Step, &'a Call)> {
    let created = calls
        .iter()
        .filter(move |call| call.user == user && call.code == 201 && call.kind() == "create pods");
    created.filter_map(|call| Some((call.step()?, call)))
}

/// Returns the previous step: for `s2`, this is `s1`.
pub fn before((chain, step): &Step) -> Option<Step> {
    let number: u32 = step.strip_prefix('s')?.parse().ok()?;
    Some((chain.clone(), format!("s{}", number.checked_sub(1)?)))
}

pub fn milliseconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() * 1000.0
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stage: String,
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    user: User,
    #[serde(default)]
    object_ref: Object,
    response_status: Option<Response>,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    namespace: String,
    name: String,
    resource: String,
    subresource: String,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    code: u16,
}

impl From<Line> for Call {
    fn from(line: Line) -> Self {
        let tried = line.request_uri.contains("dryRun=All");
        let Object { name, resource, subresource, .. } = line.object_ref;
        Self {
            user: line.user.username,
            verb: if tried { "try".to_owned() } else { line.verb },
            resource: if subresource.is_empty() {
                resource
            } else {
                format!("{resource}/{subresource}")
            },
            name,
            code: line.response_status.map_or(0, |response| response.code),
            received: line.request_received_timestamp,
            ended: line.stage_timestamp,
        }
    }
}
