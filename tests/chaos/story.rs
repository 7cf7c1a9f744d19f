//! One plan carried out: the story told to an operator that the fault strikes, and again to one without a fault where the first died.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _};
use kube::{
    ResourceExt as _,
    api::{WatchEvent, WatchParams},
};
use saga_operator::api::{HANDLED, RequestRecord, Saga, SagaPhase};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::sleep};

use crate::{
    crash,
    fault::{Counter, Fault, Traced},
    plan::{Plan, Story},
    process::{POLL, Process},
    stand::{Stand, checkout_with},
};

/// How long a frozen operator stands still: longer than an effect may wait for, and less than its Lease holds.
const FROZEN: Duration = Duration::from_secs(3);
/// The same where another one takes over: longer than the other one waits for a Lease.
const GIVEN_UP: Duration = Duration::from_secs(9);
/// How long the last calls may take after the saga has ended.
const STRUCK_WITHIN: Duration = Duration::from_secs(20);
/// The annotation that asks for a retry.
const RETRY: &str = "saga.dev/retry";

/// What happened.
pub struct Run {
    pub saga: Saga,
    /// Every version of the saga, oldest first.
    pub history: Vec<Saga>,
    /// How many Pods there are.
    pub pods: usize,
    /// The calls of each operator that ran, one after the other.
    pub calls: Vec<Vec<Traced>>,
}

/// Carries a plan out.
///
/// # Errors
/// What went wrong with the operator itself; the rest panics.
pub async fn run(stand: &Stand, name: &str, plan: &Plan, node: bool) -> Result<Run, String> {
    set_the_stage(stand, name, plan.story).await;
    let variables: Vec<_> = plan.strike.iter().map(|strike| ("SAGA_FAULT", strike.to_string())).collect();
    let mut operators = Operators { stand, name, running: Process::start(stand, name, &variables), others: Vec::new(), plan };
    let history = Arc::new(Mutex::new(Vec::new()));
    let mut watch = None;
    let told = async {
        tell(stand, name, plan.story, node, &mut watch, &history).await;
        until_ended(stand, name, plan.story).await
    };
    let early = tokio::select! {
        saga = told => Ok(saga),
        why = operators.look_after() => Err(why),
    };
    early?;
    operators.struck().await?;
    let saga = stand.sagas().get(name).await.unwrap();
    caught_up(&history, &saga).await;
    watch.iter().for_each(JoinHandle::abort);
    let pods = stand.pods_of(name).await.len();
    let history = history.lock().unwrap().clone();
    Ok(Run { saga, history, pods, calls: operators.calls() })
}

/// What a story begins with, told to an operator without a fault.
async fn set_the_stage(stand: &Stand, name: &str, story: Story) {
    let conduct = match story {
        Story::Patient => json!({"delay": "5s"}),
        Story::Held => json!({"answer": 402, "forever": true}),
        Story::Checkout | Story::Failing | Story::Slow => return,
    };
    stand.shop.behave(&json!([{"match": {"service": "payments"}, "then": [conduct]}])).unwrap();
    if story == Story::Patient {
        return;
    }
    let _operator = Process::start(stand, &format!("{name}-stage"), &[]);
    stand.apply(name, &checkout_with(&json!({"onFailure": "Hold"}))).await;
    stand.reaches(name, SagaPhase::Failed).await;
    // Its event is its last call.
    stand.event(name, "StepFailed").await;
}

/// Waits until the story has ended and nothing of the operator's is left to do.
async fn until_ended(stand: &Stand, name: &str, story: Story) -> Saga {
    let phase = if story == Story::Failing { SagaPhase::Compensated } else { SagaPhase::Completed };
    let ended = move |saga: &Saga| {
        let there = saga.status.as_ref().and_then(|status| status.phase) == Some(phase);
        let records = records(saga).last().map_or(0, |record| record.number);
        there && saga.metadata.finalizers.as_ref().is_none_or(Vec::is_empty) && handled(saga) == records
    };
    stand.until(name, "at its end without a finalizer", ended).await
}

async fn tell(stand: &Stand, name: &str, story: Story, node: bool, watch: &mut Option<JoinHandle<()>>, history: &Arc<Mutex<Vec<Saga>>>) {
    if story != Story::Held {
        let saga = stand.apply(name, &spec(story, node)).await;
        *watch = Some(keep_history(stand, saga, history));
        return;
    }
    let saga = stand.sagas().get(name).await.unwrap();
    *watch = Some(keep_history(stand, saga, history));
    let ask = json!({"metadata": {"annotations": {RETRY: "charge-card"}}});
    stand.patch(name, &ask).await.unwrap();
    let failed_again = |saga: &Saga| {
        let failed = saga.status.as_ref().and_then(|status| status.phase) == Some(SagaPhase::Failed);
        failed && handled(saga) == 1 && !saga.annotations().contains_key(RETRY)
    };
    stand.until(name, "failed again", failed_again).await;
    stand.shop.behave(&json!([])).unwrap();
    stand.patch(name, &ask).await.unwrap();
}

pub fn records(saga: &Saga) -> &[RequestRecord] {
    saga.status.as_ref().map(|status| status.requests.as_slice()).unwrap_or_default()
}

/// Up to which request the annotations are taken away.
fn handled(saga: &Saga) -> i64 {
    saga.annotations().get(HANDLED).and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn spec(story: Story, node: bool) -> Value {
    let mut spec = crash::checkout(story == Story::Failing);
    if story == Story::Slow {
        let slow = format!("{}; sleep 3", spec["steps"][2]["pod"]["command"][2].as_str().unwrap());
        spec["steps"][2]["pod"]["command"][2] = json!(slow);
    }
    if !node {
        // Its refusal is as final as the Pod's.
        spec["steps"][2].as_object_mut().unwrap().remove("pod");
        let path = if story == Story::Failing { "/shipping/nowhere" } else { "/shipping/shipments" };
        spec["steps"][2]["http"] = json!({"method": "POST", "url": format!("SHOP{path}"), "body": {"order": "7"}});
    }
    spec
}

/// Keeps every version of a saga from this one on.
fn keep_history(stand: &Stand, saga: Saga, history: &Arc<Mutex<Vec<Saga>>>) -> JoinHandle<()> {
    let (sagas, history) = (stand.sagas(), Arc::clone(history));
    tokio::spawn(async move {
        let parameters = WatchParams::default().fields(&format!("metadata.name={}", saga.name_any())).timeout(290);
        let version = saga.resource_version().unwrap();
        history.lock().unwrap().push(saga);
        let mut events = sagas.watch(&parameters, &version).await.unwrap().boxed();
        while let Ok(Some(event)) = events.try_next().await {
            if let WatchEvent::Added(saga) | WatchEvent::Modified(saga) = event {
                history.lock().unwrap().push(saga);
            }
        }
    })
}

/// Waits until the history holds this version.
async fn caught_up(history: &Mutex<Vec<Saga>>, saga: &Saga) {
    while history.lock().unwrap().last().map(Saga::resource_version) != Some(saga.resource_version()) {
        sleep(POLL).await;
    }
}

/// The operators of one plan, of which one runs.
struct Operators<'a> {
    stand: &'a Stand,
    name: &'a str,
    running: Process,
    /// Those that died, and those that work beside it.
    others: Vec<Process>,
    plan: &'a Plan,
}

impl Operators<'_> {
    /// Starts another operator where one dies of its fault, and lets one go on that stands still; returns only where something else
    /// happened to it.
    async fn look_after(&mut self) -> String {
        loop {
            if let Err(why) = self.look().await {
                return why;
            }
            sleep(POLL).await;
        }
    }

    async fn look(&mut self) -> Result<(), String> {
        let fault = self.plan.strike.map(|strike| strike.fault);
        if self.running.has_ended() {
            if !(fault.is_some_and(Fault::crashes) && self.others.is_empty()) {
                return Err("the operator ended".into());
            }
            let next = Process::start(self.stand, &format!("{}-next", self.name), &[]);
            self.others.push(std::mem::replace(&mut self.running, next));
        } else if self.running.stands_still() {
            if fault == Some(Fault::TakeOver) {
                self.others.push(Process::start(self.stand, &format!("{}-other", self.name), &[]));
                sleep(GIVEN_UP).await;
            } else {
                sleep(FROZEN).await;
            }
            self.running.go_on();
        }
        Ok(())
    }

    /// Makes sure that the fault struck, and where the operator died of it that another one has looked at what is left. Without a fault,
    /// that the last call was made.
    async fn struck(&mut self) -> Result<(), String> {
        let Some(strike) = self.plan.strike else { return self.made_its_last_call().await };
        let within = tokio::time::Instant::now() + STRUCK_WITHIN;
        loop {
            self.look().await?;
            let struck = self.calls().iter().flatten().any(|call| call.struck.is_some());
            let enough = self.others.is_empty() != (strike.fault.crashes() || strike.fault == Fault::TakeOver);
            if struck && enough && !self.running.stands_still() {
                self.running.watches().await;
                return Ok(());
            }
            if tokio::time::Instant::now() > within {
                return Err("the fault did not strike: the operator made fewer calls than the run without a fault".into());
            }
            sleep(POLL).await;
        }
    }

    /// The event of the end is told when nothing of the saga's is left to wait for: a count that is taken before it is short of one.
    async fn made_its_last_call(&self) -> Result<(), String> {
        let within = tokio::time::Instant::now() + STRUCK_WITHIN;
        let is_last = |call: &Traced| call.class == "POST events" && call.status.is_some();
        while !self.running.trace().iter().rev().find(|call| call.counter == Counter::Call).is_some_and(is_last) {
            if tokio::time::Instant::now() > within {
                return Err("the last call of a run without a fault is not its event".into());
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    fn calls(&self) -> Vec<Vec<Traced>> {
        self.others.iter().chain([&self.running]).map(Process::trace).collect()
    }
}
