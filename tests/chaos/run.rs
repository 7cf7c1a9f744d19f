//! Runs one plan: plays the story to an operator that the fault strikes. If this operator dies,
//! another operator without a fault replaces it.

use std::time::Duration;

use k8s_openapi::api::{batch::v1::Job, core::v1::ConfigMap};
use kube::{Api, ResourceExt as _, api::ListParams};
use saga_operator::api::Saga;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    fault::{Counter, Fault, Traced},
    history::History,
    plan::Plan,
    process::{POLL, Process},
    stand::{PATIENCE, Stand, records},
    stories::{End, Scene},
};

/// How long a frozen operator stands still: longer than an effect may wait, and shorter than the
/// term of its Lease.
const FROZEN: Duration = Duration::from_secs(3);
/// How long a frozen operator stands still if another operator takes over: longer than the other
/// operator waits for a Lease.
const GIVEN_UP: Duration = Duration::from_secs(9);
/// How long a frozen operator stands still if the other operator waits for the Lease of the leader.
const LEADS_NO_MORE: Duration = Duration::from_secs(13);
/// The time limit for the last calls after the saga has ended.
const STRUCK_WITHIN: Duration = Duration::from_secs(20);
/// How long no call may happen before everything counts as done.
const QUIET: Duration = Duration::from_secs(2);

/// The observations of a run.
pub struct Run {
    pub saga: Saga,
    /// The last versions of this saga and its children.
    pub sagas: Vec<Saga>,
    /// Every version of this saga and its children, oldest first.
    pub history: Vec<Saga>,
    /// The number of existing Pods and Jobs.
    pub hands: usize,
    /// The names of the objects that belong to the saga.
    pub objects: Vec<String>,
    /// The calls of each operator that ran. The operator that the fault struck is first.
    pub calls: Vec<Vec<Traced>>,
}

/// The reason why a run cannot be judged.
pub enum Void {
    /// The fault did not strike, because the timing differs from the run without a fault.
    NotStruck,
    /// Something is wrong with the operator itself.
    Wrong(String),
}

/// Runs a plan.
///
/// # Errors
/// Returns an error if something is wrong with the operator itself, or if the fault did not strike.
/// Other errors panic.
pub async fn run(scene: &Scene<'_>, plan: &Plan) -> Result<Run, Void> {
    let (stand, name) = (scene.stand, scene.name);
    (plan.story.stage)(scene).await;
    // The history begins here. A read after the start may already hold the first writes.
    let staged = stand.sagas().get_opt(name).await.unwrap();
    let mut operators = Operators::start(stand, name, plan).await;
    let saga = match staged {
        Some(saga) => saga,
        None => stand.apply(name, &(plan.story.spec)(scene)).await,
    };
    let history = History::from(stand, &saga);
    let told = async {
        (plan.story.told)(scene).await;
        until_ended(stand, &saga, plan, &history).await;
    };
    let early = tokio::select! {
        () = told => None,
        why = operators.look_after() => Some(why),
    };
    if let Some(why) = early {
        return Err(Void::Wrong(why));
    }
    operators.struck().await?;
    let last = stand.sagas().get_opt(name).await.unwrap();
    let history = history.caught_up(last.as_ref()).await;
    let newest = |saga: &&Saga| {
        !history
            .iter()
            .rev()
            .take_while(|later| !std::ptr::eq(*later, *saga))
            .any(|later| later.uid() == saga.uid())
    };
    let sagas: Vec<_> = history.iter().filter(newest).cloned().collect();
    let saga = sagas
        .iter()
        .find(|saga| saga.name_any() == name)
        .expect("its history begins with it")
        .clone();
    let (hands, objects) = left(stand, name).await;
    Ok(Run { saga, sagas, history, hands, objects, calls: operators.calls() })
}

/// Returns what a saga created: the number of Pods and Jobs, and the names of the objects.
async fn left(stand: &Stand, name: &str) -> (usize, Vec<String>) {
    let jobs: Api<Job> = Api::namespaced(stand.client.clone(), &stand.namespace);
    let of_it = ListParams::default().labels(&format!("saga.dev/saga={name}"));
    let hands = stand.pods_of(name).await.len() + jobs.list(&of_it).await.unwrap().items.len();
    let maps: Api<ConfigMap> = Api::namespaced(stand.client.clone(), &stand.namespace);
    let maps = maps.list(&ListParams::default()).await.unwrap();
    (
        hands,
        maps.iter()
            .map(ConfigMap::name_any)
            .filter(|map| map.starts_with(&format!("{name}-")))
            .collect(),
    )
}

/// Waits until the story has ended and the operator has no work left.
async fn until_ended(stand: &Stand, saga: &Saga, plan: &Plan, history: &History) {
    let name = saga.name_any();
    let free = |saga: &Saga| saga.metadata.finalizers.as_ref().is_none_or(Vec::is_empty);
    match plan.story.end {
        End::Gone => stand.gone(&name).await,
        End::In(phase) => {
            let asks = plan.story.asks.len();
            let ended = move |saga: &Saga| {
                let there = saga.status.as_ref().and_then(|status| status.phase) == Some(phase);
                there && free(saga) && records(saga).len() == asks && handled(saga) == asks
            };
            _ = stand.until(&name, "at its end without a finalizer", ended).await;
        }
    }
    let all_free = async {
        while !stand
            .sagas()
            .list(&ListParams::default())
            .await
            .unwrap()
            .iter()
            .filter(|saga| history.concerns(saga))
            .all(free)
        {
            sleep(POLL).await;
        }
    };
    timeout(PATIENCE, all_free)
        .await
        .unwrap_or_else(|_| panic!("a child of {name} keeps its finalizer"));
}

/// Returns the number of the last request whose annotation was removed.
pub fn handled(saga: &Saga) -> usize {
    saga.annotations()
        .get(saga_operator::api::HANDLED)
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// The operators of one plan. The fault strikes the first operator.
struct Operators<'a> {
    stand: &'a Stand,
    name: &'a str,
    first: Process,
    others: Vec<Process>,
    plan: &'a Plan,
}

impl<'a> Operators<'a> {
    async fn start(stand: &'a Stand, name: &'a str, plan: &'a Plan) -> Self {
        let variables: Vec<_> =
            plan.strike.iter().map(|strike| ("SAGA_FAULT", strike.to_string())).collect();
        let first = Process::start_with(stand, name, &variables, &Self::arguments(stand, plan));
        let mut operators = Self { stand, name, first, others: Vec::new(), plan };
        if plan.story.elects {
            operators.first.stands().await;
            operators.start_another("other");
            if let Some(other) = operators.others.first_mut() {
                other.watches().await;
            }
        }
        operators
    }

    fn arguments(stand: &'a Stand, plan: &Plan) -> Vec<&'a str> {
        // The Leases are in the namespace of the plan, and are deleted with the namespace or after
        // the plan. A sweep kills hundreds of operators.
        plan.story
            .arguments
            .iter()
            .copied()
            .chain(["--lease-namespace", &stand.namespace])
            .collect()
    }

    fn start_another(&mut self, what: &str) {
        let trace = format!("{}-{what}", self.name);
        self.others.push(Process::start_with(
            self.stand,
            &trace,
            &[],
            &Self::arguments(self.stand, self.plan),
        ));
    }

    /// Watches over the operators. If an operator dies of its fault, starts another operator. If an
    /// operator is frozen, continues it. Returns only if something unexpected happens to an
    /// operator.
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
        if self.others.iter_mut().any(Process::has_ended) {
            return Err("an operator without a fault ended".into());
        }
        if self.first.has_ended() {
            if !fault.is_some_and(Fault::crashes) {
                return Err("the operator ended".into());
            }
            if self.others.is_empty() {
                self.start_another("next");
            }
        } else if self.first.stands_still() {
            let takes_over = fault == Some(Fault::TakeOver);
            if takes_over && self.others.is_empty() {
                self.start_another("other");
            }
            sleep(match (takes_over, self.plan.story.elects) {
                (false, _) => FROZEN,
                (true, false) => GIVEN_UP,
                (true, true) => LEADS_NO_MORE,
            })
            .await;
            self.first.resume();
        }
        Ok(())
    }

    /// Waits until the fault has struck. If the operator died of the fault, also waits until
    /// another operator has read the remaining state. Without a fault, waits for the last call.
    async fn struck(&mut self) -> Result<(), Void> {
        let Some(strike) = self.plan.strike else { return self.made_its_last_call().await };
        let within = Instant::now() + STRUCK_WITHIN;
        loop {
            self.look().await.map_err(Void::Wrong)?;
            let struck = self.first.trace().iter().any(|call| call.struck.is_some());
            let followed = !self.others.is_empty()
                || !(strike.fault.crashes() || strike.fault == Fault::TakeOver);
            if struck && followed && !self.first.stands_still() {
                let last = self.others.last_mut().unwrap_or(&mut self.first);
                last.watches().await;
                return Ok(());
            }
            if Instant::now() > within {
                return Err(Void::NotStruck);
            }
            sleep(POLL).await;
        }
    }

    /// Waits until no more calls happen. A count that is taken before the last call is too small.
    async fn made_its_last_call(&self) -> Result<(), Void> {
        let done = || {
            self.first
                .trace()
                .iter()
                .filter(|call| matches!(call.counter, Counter::Call | Counter::Read))
                .count()
        };
        let (mut count, mut since) = (done(), Instant::now());
        while since.elapsed() < QUIET {
            sleep(POLL).await;
            let now = done();
            if now != count {
                (count, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    fn calls(&self) -> Vec<Vec<Traced>> {
        [&self.first].into_iter().chain(&self.others).map(Process::trace).collect()
    }
}
