//! The sweep: runs all plans in lanes. Each lane has its own namespace, shop and operators.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use saga_operator::mutants::Mutant;

use crate::{
    fault::Fault,
    judge::Reference,
    lane, mutant,
    plan::{Plan, plans, sample},
    report::{self, Report},
    stand::Stand,
    stories::{ALL, Story},
};

/// The number of plans that run in parallel. Plans mostly wait.
const LANES: usize = 12;
/// The number of plans between two messages about the progress.
const TELL_EVERY: usize = 50;

/// The options from the environment.
struct Asked {
    plans: Vec<Plan>,
    stories: Vec<String>,
    faults: Vec<Fault>,
    sample: Option<usize>,
    seed: u64,
    lanes: usize,
    node: bool,
    mutants: bool,
    sweep: bool,
}

/// The state that the lanes share.
struct Sweep {
    references: HashMap<&'static str, Reference>,
    queue: Mutex<VecDeque<(usize, Plan)>>,
    /// Namespaces that no lane uses.
    stands: Mutex<Vec<Arc<Stand>>>,
    total: usize,
    done: AtomicUsize,
    failed: AtomicUsize,
    node: bool,
    begun: Instant,
}

impl Asked {
    fn read() -> Self {
        let plans: Vec<Plan> =
            words("SAGA_CHAOS_PLAN").iter().map(|plan| plan.parse().unwrap()).collect();
        let stories = words("SAGA_CHAOS_STORIES");
        let unknown = stories.iter().find(|name| ALL.iter().all(|story| story.name != **name));
        assert!(unknown.is_none(), "{unknown:?} is no story");
        let fault = |word: &String| {
            Fault::ALL
                .into_iter()
                .find(|known| known.as_str() == word)
                .unwrap_or_else(|| panic!("{word} is no fault"))
        };
        let faults: Vec<_> = words("SAGA_CHAOS_FAULTS").iter().map(fault).collect();
        let mutants = words("SAGA_CHAOS_MUTANTS");
        let only = |word: &str| mutants.first().is_some_and(|told| told == word);
        Self {
            mutants: plans.is_empty() && stories.is_empty() && faults.is_empty() && !only("none"),
            sweep: mutants.is_empty() || only("none"),
            plans,
            stories,
            faults,
            sample: number("SAGA_CHAOS_SAMPLE"),
            seed: number("SAGA_SEED").unwrap_or_else(|| u64::from(std::process::id())),
            lanes: number("SAGA_CHAOS_LANES").unwrap_or(LANES),
            // If Pods cannot run here, `make test` sets `SAGA_TEST_NODE` to a value other than
            // `ready`.
            node: std::env::var("SAGA_TEST_NODE").ok().is_none_or(|node| node == "ready"),
        }
    }

    /// Returns the stories of this run.
    fn stories(&self) -> Vec<&'static Story> {
        let wanted = |story: &&Story| {
            let of_a_plan = self.plans.is_empty()
                || self.plans.iter().any(|plan| plan.story.name == story.name);
            let named =
                self.stories.is_empty() || self.stories.iter().any(|name| name == story.name);
            of_a_plan && named && (self.node || !story.needs_a_node)
        };
        ALL.into_iter().filter(|story| self.sweep && wanted(story)).collect()
    }

    /// Returns whether the run covers everything, or a sample of everything.
    fn everything(&self) -> bool {
        self.sweep && self.plans.is_empty() && self.stories.is_empty() && self.faults.is_empty()
    }
}

/// Runs everything that the environment asks for. Returns whether everything passed.
pub async fn all() -> bool {
    let (begun, asked) = (Instant::now(), Asked::read());
    if !asked.node {
        println!(
            "chaos: without a node, stories send requests instead of running Pods, and no \
            Jobs run"
        );
    }
    let mutants = asked.mutants.then(|| tokio::spawn(mutant::all()));
    let stories = asked.stories();
    let (references, stands) = references(&stories, &asked).await;
    let wanted = |plan: &Plan| {
        asked.faults.is_empty()
            || plan.strike.is_some_and(|strike| asked.faults.contains(&strike.fault))
    };
    let every: Vec<Plan> = stories
        .iter()
        .flat_map(|story| plans(story, &references[story.name].calls))
        .filter(wanted)
        .collect();
    let mut report = Report::new(&stories, &every, asked.seed, asked.sample);
    let accounted =
        !asked.everything() || report::tell_what_is_left_out(&stories, &every, &references);
    let chosen = match (asked.plans.is_empty(), asked.sample) {
        (false, _) => asked.plans.clone(),
        (true, Some(count)) => sample(every, count, asked.seed),
        (true, None) => every,
    };
    report.chosen(&chosen);
    let sweep = Arc::new(Sweep {
        total: chosen.len(),
        queue: Mutex::new((1..).zip(chosen).collect()),
        references,
        stands: Mutex::new(stands),
        done: AtomicUsize::new(0),
        failed: AtomicUsize::new(0),
        node: asked.node,
        begun,
    });
    let lanes: Vec<_> =
        (0..asked.lanes.min(sweep.total)).map(|_| tokio::spawn(work(Arc::clone(&sweep)))).collect();
    for lane in lanes {
        lane.await.unwrap();
    }
    let killed = match mutants {
        Some(mutants) => Some(mutants.await.unwrap()),
        None => None,
    };
    let failed = sweep.failed.load(Ordering::SeqCst);
    report.ended(failed, killed, begun.elapsed());
    if asked.everything() {
        report.write();
    }
    failed == 0 && accounted && killed.is_none_or(|killed| killed == Mutant::GUARDS.len())
}

fn words(name: &str) -> Vec<String> {
    std::env::var(name)
        .unwrap_or_default()
        .split(',')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|number| number.parse().ok())
}

/// Returns the costs of each story without a fault, and the namespaces of these runs.
async fn references(
    stories: &[&'static Story],
    asked: &Asked,
) -> (HashMap<&'static str, Reference>, Vec<Arc<Stand>>) {
    let node = asked.node;
    let tell = |story: &'static Story| {
        tokio::spawn(async move {
            let stand = lane::lane().await;
            let reference = lane::reference(&stand, &Plan { story, strike: None }, node)
                .await
                .unwrap_or_else(|why| panic!("{why}"));
            (story, reference, stand)
        })
    };
    let (mut references, mut stands) = (HashMap::new(), Vec::new());
    for some in stories.chunks(asked.lanes.max(1)) {
        let runs: Vec<_> = some.iter().copied().map(tell).collect();
        for run in runs {
            let (story, reference, stand) = run.await.expect("a run without a fault passes");
            let (writes, calls): (_, Vec<_>) = (reference.writes, reference.made().collect());
            println!(
                "chaos: {} takes {writes} status writes and {} calls: {}",
                story.name,
                calls.len(),
                calls.join(", ")
            );
            references.insert(story.name, reference);
            stands.push(stand);
        }
    }
    (references, stands)
}

async fn work(sweep: Arc<Sweep>) {
    let stand = sweep.stands.lock().unwrap().pop();
    let mut stand = match stand {
        Some(stand) => stand,
        None => lane::lane().await,
    };
    loop {
        let Some((nth, plan)) = sweep.queue.lock().unwrap().pop_front() else { return };
        let (here, shared) = (Arc::clone(&stand), Arc::clone(&sweep));
        // The plan runs in its own task, so that a panic fails only this plan.
        let done = tokio::spawn(async move {
            let reference = shared
                .references
                .get(plan.story.name)
                .ok_or("its story has no run without a fault")?;
            lane::one(&here, nth, &plan, reference, shared.node).await
        });
        let failure = done.await.map_err(|panic| panic.to_string()).and_then(|result| result).err();
        if let Some(why) = failure {
            sweep.failed.fetch_add(1, Ordering::SeqCst);
            let why = report::one_line(&why);
            println!(
                "FAILED {plan}: {why}; its log: {}; again: SAGA_CHAOS_PLAN={plan} make chaos",
                stand.log().display()
            );
            // The remains of the saga would disturb the next plan.
            stand = lane::lane().await;
        }
        let done = sweep.done.fetch_add(1, Ordering::SeqCst) + 1;
        if done.is_multiple_of(TELL_EVERY) {
            let failed = sweep.failed.load(Ordering::SeqCst);
            println!(
                "chaos: {done} of {} plans after {} s, {failed} failed",
                sweep.total,
                sweep.begun.elapsed().as_secs()
            );
        }
    }
}
