//! What the API server was asked for, from its audit log.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use jiff::Timestamp;
use serde::Deserialize;

use crate::settings::given;

/// A step of a chain: the chain's name, and the step's.
pub type Step = (String, String);

/// One call that has ended.
pub struct Call {
    pub user: String,
    /// `get`, `create`, …; `try` where it was asked for with a dry run.
    pub verb: String,
    /// With its subresource: `pods/status`.
    pub resource: String,
    pub name: String,
    pub code: u16,
    pub received: Timestamp,
    pub ended: Timestamp,
}

impl Call {
    /// `create pods`
    pub fn kind(&self) -> String {
        format!("{} {}", self.verb, self.resource)
    }

    pub fn is_read(&self) -> bool {
        ["get", "list"].contains(&self.verb.as_str())
    }

    pub fn is_write(&self) -> bool {
        !self.is_read() && !["watch", "try"].contains(&self.verb.as_str())
    }

    /// Whose pod this is about: all contestants call the pods of a step `<chain>-<step>…`.
    fn step(&self) -> Option<Step> {
        let mut parts = self.name.split('-').map(str::to_owned);
        Some((parts.next()?, parts.next()?))
    }
}

/// How long the log is.
pub fn length() -> u64 {
    std::fs::metadata(given("SAGA_BENCH_AUDIT_LOG")).unwrap().len()
}

/// The calls that are logged from an offset on, of one namespace.
pub fn calls(offset: u64, namespace: &str) -> Vec<Call> {
    let mut log = File::open(given("SAGA_BENCH_AUDIT_LOG")).unwrap();
    log.seek(SeekFrom::Start(offset)).unwrap();
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    // Each line is a JSON object that names the namespace; the last one may be written right now.
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

/// The time from the end of each step's pod to the creation of the next one's, in milliseconds. A
/// pod's end is the last write of its status before that: a later one tells the same again.
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

/// How often each step's pod was created.
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

/// The step before: `s2` comes after `s1`.
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
