//! The sweep: all plans in lanes, each of which has a namespace, a shop and an operator of its own.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use saga_operator::twins::Twin;

use crate::{
    judge::{Reference, judge},
    plan::{Plan, Story, plans, sample},
    stand::Stand,
    story, twin,
};

/// Plans that run side by side: most of their time is waiting.
const LANES: usize = 8;
/// How often it is said how far the sweep is: after so many plans.
const TELL_EVERY: usize = 20;

/// What the lanes share.
struct Sweep {
    references: HashMap<Story, Reference>,
    queue: Mutex<VecDeque<(usize, Plan)>>,
    total: usize,
    done: AtomicUsize,
    failed: AtomicUsize,
    node: bool,
    begun: Instant,
}

/// Runs what the environment asks for; whether all of it passed.
pub async fn all() -> bool {
    let begun = Instant::now();
    let only_twins = !words("SAGA_CHAOS_TWINS").is_empty();
    let node = has_a_node();
    if !node {
        println!("chaos: without a node the last step of a checkout is a request, and plans of long Pods are left out");
    }
    let asked: Vec<Plan> = words("SAGA_CHAOS_PLAN").iter().map(|plan| plan.parse().unwrap()).collect();
    let with_twins = asked.is_empty();
    let twins = with_twins.then(|| tokio::spawn(twin::all()));
    let references = if only_twins { HashMap::new() } else { references(&asked, node).await };
    let plans = chosen(asked, &references);
    let sweep = Arc::new(Sweep {
        total: plans.len(),
        queue: Mutex::new((1..).zip(plans).collect()),
        references,
        done: AtomicUsize::new(0),
        failed: AtomicUsize::new(0),
        node,
        begun,
    });
    let lanes = number("SAGA_CHAOS_LANES").unwrap_or(LANES).min(sweep.total.max(1));
    let lanes: Vec<_> = (0..lanes).map(|_| tokio::spawn(lane(Arc::clone(&sweep)))).collect();
    for lane in lanes {
        lane.await.unwrap();
    }
    let mut every_twin_killed = true;
    if let Some(twins) = twins {
        let killed = twins.await.unwrap();
        println!("twins: {killed}/{} killed", Twin::GUARDS.len());
        every_twin_killed = killed == Twin::GUARDS.len();
    }
    let failed = sweep.failed.load(Ordering::SeqCst);
    println!("chaos: {} plans, {failed} failed", sweep.total);
    failed == 0 && every_twin_killed
}

/// Whether Pods run here; `make test` knows why not, where they do not.
fn has_a_node() -> bool {
    std::env::var("SAGA_TEST_NODE").ok().is_none_or(|node| node == "ready")
}

fn words(name: &str) -> Vec<String> {
    std::env::var(name).unwrap_or_default().split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|number| number.parse().ok())
}

/// What each story that is needed costs without a fault.
async fn references(asked: &[Plan], node: bool) -> HashMap<Story, Reference> {
    let needed = |story: &Story| {
        let wanted = asked.is_empty() || asked.iter().any(|plan| plan.story == *story);
        wanted && (node || !story.needs_a_node())
    };
    let runs = Story::ALL.into_iter().filter(needed).map(|story| {
        tokio::spawn(async move {
            let stand = Stand::with_pods("chaos").await;
            let plan = Plan { story, strike: None };
            let run = story::run(&stand, "reference", &plan, node).await.unwrap();
            let reference = Reference::of(&run);
            judge(&stand, &plan, &run, &reference).unwrap();
            println!(
                "chaos: {plan} takes {} status writes and {} calls: {}",
                reference.writes,
                reference.calls.len(),
                reference.calls.join(", ")
            );
            (story, reference)
        })
    });
    let mut references = HashMap::new();
    for run in runs.collect::<Vec<_>>() {
        let (story, reference) = run.await.expect("a run without a fault passes");
        references.insert(story, reference);
    }
    references
}

fn chosen(asked: Vec<Plan>, references: &HashMap<Story, Reference>) -> Vec<Plan> {
    if !asked.is_empty() {
        return asked;
    }
    let stories = Story::ALL.into_iter().filter_map(|story| references.get(&story).map(|reference| (story, reference)));
    let every: Vec<_> = stories.flat_map(|(story, reference)| plans(story, &reference.calls)).collect();
    let Some(count) = number("SAGA_CHAOS_SAMPLE") else { return every };
    let seed = number("SAGA_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("chaos: a sample of {count} of {} plans, SAGA_SEED={seed}", every.len());
    sample(every, count, seed)
}

async fn lane(sweep: Arc<Sweep>) {
    let mut stand = Arc::new(Stand::with_pods("chaos").await);
    loop {
        let Some((nth, plan)) = sweep.queue.lock().unwrap().pop_front() else { return };
        let (here, shared, of) = (Arc::clone(&stand), Arc::clone(&sweep), plan.clone());
        // A task of its own, so that a panic fails this plan only.
        let done = tokio::spawn(async move { one(&here, nth, &of, &shared).await }).await;
        let failure = done.map_err(|panic| panic.to_string()).and_then(|result| result).err();
        if let Some(why) = failure {
            sweep.failed.fetch_add(1, Ordering::SeqCst);
            let why = one_line(&why);
            println!("FAILED {plan}: {why}; its log: {}; again: SAGA_CHAOS_PLAN={plan} make chaos", stand.log().display());
            // What is left of the saga would be in the way.
            stand = Arc::new(Stand::with_pods("chaos").await);
        }
        let done = sweep.done.fetch_add(1, Ordering::SeqCst) + 1;
        if done.is_multiple_of(TELL_EVERY) {
            let failed = sweep.failed.load(Ordering::SeqCst);
            println!("chaos: {done} of {} plans after {} s, {failed} failed", sweep.total, sweep.begun.elapsed().as_secs());
        }
    }
}

/// Why something failed, short enough for its line: a panic has told the rest already.
pub fn one_line(why: &str) -> String {
    why.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()
}

async fn one(stand: &Stand, nth: usize, plan: &Plan, sweep: &Sweep) -> Result<(), String> {
    let reference = sweep.references.get(&plan.story).ok_or("its story cannot be told here")?;
    let name = format!("plan-{nth}");
    let run = story::run(stand, &name, plan, sweep.node).await?;
    judge(stand, plan, &run, reference)?;
    stand.shop.forget(None);
    stand.remove(&name).await;
    Ok(())
}
