//! One measurement: one contestant runs the chains of one load.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::sleep;

use crate::{
    audit::{self, Call, Step},
    contestant::{STEPS, Who},
    place::Place,
    process::{Spent, memory},
    service::{Calls, Service},
    settings::{Load, Settings, Work},
};

/// The time without further calls after which the calls that follow the end, such as events, count
/// as finished.
const CALM: Duration = Duration::from_secs(1);
/// The first chain, which warms up the contestant and does not count.
const WARM: &str = "warm";

/// The results of a measurement. All counts and CPU times are per step.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    pub round: usize,
    pub work: Work,
    pub load: Load,
    pub who: Who,
    /// The time from the creation of the first chain to the last write of a status, in seconds.
    pub seconds: f64,
    pub steps_per_second: f64,
    /// The calls of the contestant in the namespace of the chains: `verb resource`. `try` is a dry
    /// run.
    pub calls: BTreeMap<String, f64>,
    pub writes: f64,
    pub reads: f64,
    pub tries: f64,
    /// The calls that were refused.
    pub refused: f64,
    /// The CPU time in milliseconds: `contestant`, `api-server`, `etcd`, …, `bench` (this process),
    /// and `others` (processes outside this run).
    pub cpu: BTreeMap<String, f64>,
    /// The share of the machine's processors that other processes used during the run.
    pub others: f64,
    /// The time from the end of a step to the beginning of the next step: the median and the 99th
    /// percentile, in milliseconds.
    pub delay: [f64; 2],
    /// The memory of the contestant in MiB: before the first chain, and the maximum so far.
    pub memory: [f64; 2],
    /// The violations of the judged conditions.
    pub faults: Vec<String>,
}

pub async fn measure(settings: &Settings, round: usize, who: Who, work: Work, load: Load) -> Run {
    let (service, address) = Service::start().await;
    let place = Place::create(settings, who, work, address).await;
    let mut process = who.start();
    let started = audit::length();
    place.begin(WARM).await;
    let mut faults = place.complete(&mut process).await;
    calm(started, &place.namespace, who).await;
    let names: Vec<_> = (1..=load.chains).map(|nth| format!("c{nth}")).collect();

    let (offset, spent, began) = (audit::length(), Spent::now(process.id()), Timestamp::now());
    let [idle, _] = memory(process.id());
    if load.slow {
        for (nth, name) in (1_u64..).zip(&names) {
            place.begin(name).await;
            sleep(settings.pause(nth)).await;
        }
    } else {
        place.begin_all(&names).await;
    }
    faults.extend(place.complete(&mut process).await);
    let calls = calm(offset, &place.namespace, who).await;
    let cpu = Spent::now(process.id()).since(&spent);
    let lasted = audit::milliseconds(began, Timestamp::now());
    let [_, peak] = memory(process.id());
    place.clear().await;
    process.stop();

    let steps = f64::from(u32::try_from(load.chains * STEPS).unwrap());
    let seconds = span(&calls, who) / 1000.0;
    let own: Vec<_> = calls.iter().filter(|call| call.user == who.user()).collect();
    let per_step = |wanted: &dyn Fn(&Call) -> bool| {
        count(own.iter().filter(|call| wanted(call)).count()) / steps
    };
    let mut kinds = BTreeMap::new();
    for call in &own {
        *kinds.entry(call.kind()).or_default() += 1.0 / steps;
    }
    let (times, delays) = match work {
        Work::Pods => (audit::pods(&calls, who.user()), audit::delays(&calls, who.user())),
        Work::Requests => requests(&service.calls()),
    };
    faults.extend(wrong(&times, &names));
    Run {
        round,
        work,
        load,
        who,
        seconds,
        steps_per_second: steps / seconds,
        writes: per_step(&Call::is_write),
        reads: per_step(&Call::is_read),
        tries: per_step(&|call| call.verb == "try"),
        refused: per_step(&|call| call.code >= 300),
        calls: kinds,
        others: cpu["others"] / lasted / count(std::thread::available_parallelism().unwrap().get()),
        cpu: cpu.into_iter().map(|(name, spent)| (name, spent / steps)).collect(),
        delay: [50, 99].map(|percent| percentile(&delays, percent)),
        memory: [idle, peak],
        faults,
    }
}

/// Waits until the contestant makes no more calls for some time. Returns the calls of the
/// namespace.
async fn calm(offset: u64, namespace: &str, who: Who) -> Vec<Call> {
    let mut before = 0;
    loop {
        sleep(CALM).await;
        let calls = audit::calls(offset, namespace);
        let now = calls.iter().filter(|call| call.user == who.user()).count();
        if now == before {
            return calls;
        }
        before = now;
    }
}

/// Returns the time from the creation of the first chain to the last write of a status, in
/// milliseconds.
fn span(calls: &[Call], who: Who) -> f64 {
    let plural = who.resource().plural;
    let status = format!("{plural}/status");
    let began = calls
        .iter()
        .filter(|call| call.resource == plural && call.verb == "create")
        .map(|call| call.received)
        .min();
    let ended = calls
        .iter()
        .filter(|call| call.resource == status && call.is_write())
        .map(|call| call.ended)
        .max();
    audit::milliseconds(began.expect("chains were created"), ended.expect("statuses were written"))
}

/// Returns how often the HTTP request of each step arrived. Also returns the times between
/// consecutive HTTP requests of a chain, in milliseconds.
fn requests(calls: &Calls) -> (BTreeMap<Step, usize>, Vec<f64>) {
    let delay = |(step, came): (&Step, &Vec<Instant>)| {
        let before = calls.get(&audit::before(step)?)?.last()?;
        Some(came.first()?.duration_since(*before).as_secs_f64() * 1000.0)
    };
    let times = calls.iter().map(|(step, came)| (step.clone(), came.len())).collect();
    (times, calls.iter().filter(|((chain, _), _)| chain != WARM).filter_map(delay).collect())
}

/// Returns an error for each step that did not run exactly once.
fn wrong(times: &BTreeMap<Step, usize>, chains: &[String]) -> Vec<String> {
    let steps = chains
        .iter()
        .flat_map(|chain| (1..=STEPS).map(move |nth| (chain.clone(), format!("s{nth}"))));
    let of = steps.map(|step| (times.get(&step).copied().unwrap_or_default(), step));
    of.filter(|(times, _)| *times != 1)
        .map(|(times, (chain, step))| format!("{chain}/{step} was run {times} times"))
        .collect()
}

/// Returns the value that `percent` percent of the values do not exceed; NaN if there are no
/// values.
fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let nth = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(nth).copied().unwrap_or(f64::NAN)
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}
