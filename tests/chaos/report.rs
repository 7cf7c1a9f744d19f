//! The report of the sweep: the omitted faults with the reasons, the results, and the file
//! `build/chaos.json` for other programs.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    time::Duration,
};

use saga_operator::mutants::Mutant;
use serde_json::{Value, json};

use crate::{
    fault::Fault,
    judge::Reference,
    plan::{Pair, Plan, is_struck, pairs},
    sense::{WITHOUT_A_PLAN, tally},
    stories::Story,
};

/// The summary of a run, in the form that is written to the file.
pub struct Report(Value);

impl Report {
    pub fn new(
        stories: &[&'static Story],
        every: &[Plan],
        seed: u64,
        sample: Option<usize>,
    ) -> Self {
        let names: Vec<_> = stories.iter().map(|story| story.name).collect();
        let (of, faults) = (pairs(every), Fault::ALL.map(Fault::as_str));
        Self(json!({
            "stories": names, "faults": faults, "all": every.len(), "pairs": of.len(),
            "seed": seed, "sampled": sample.is_some(),
        }))
    }

    /// Records the chosen plans.
    pub fn chosen(&mut self, plans: &[Plan]) {
        self.0["plans"] = json!(plans.len());
        self.0["pairsRun"] = json!(pairs(plans).len());
        if self.0["sampled"] == true {
            let Self(told) = self;
            let [plans, all, run, pairs, seed] =
                ["plans", "all", "pairsRun", "pairs", "seed"].map(|name| told[name].clone());
            println!(
                "chaos: a sample of {plans} of {all} plans with {run} of {pairs} pairs of a story \
                 and a fault, SAGA_SEED={seed}"
            );
        }
    }

    /// Records the results. `killed` is the number of killed mutants; `None` if no mutants were
    /// tried.
    pub fn ended(&mut self, failed: usize, killed: Option<usize>, took: Duration) {
        let Self(told) = self;
        told["failed"] = json!(failed);
        told["seconds"] = json!(took.as_secs());
        told["date"] = json!(jiff::Timestamp::now().strftime("%Y-%m-%d").to_string());
        if let Some(killed) = killed {
            told["twins"] = json!({"all": Mutant::GUARDS.len(), "killed": killed});
            println!("mutants: {killed}/{} killed", Mutant::GUARDS.len());
        }
        println!("chaos: {} plans, {failed} failed", told["plans"]);
    }

    pub fn write(&self) {
        let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("build");
        std::fs::create_dir_all(&build).unwrap();
        std::fs::write(build.join("chaos.json"), format!("{}\n", self.0)).unwrap();
    }
}

/// Prints the pairs of story and fault that have no plan, and the faults that are not tried at some
/// calls, with the reasons. Returns whether every pair without a plan has a reason, and no other
/// pair has one.
pub fn tell_what_is_left_out(
    stories: &[&'static Story],
    every: &[Plan],
    references: &HashMap<&'static str, Reference>,
) -> bool {
    let tried = pairs(every);
    let told = |story: &str| stories.iter().any(|known| known.name == story);
    let all =
        stories.iter().flat_map(|story| Fault::ALL.into_iter().map(|fault| (story.name, fault)));
    let missing: BTreeSet<Pair> = all.filter(|pair| !tried.contains(pair)).collect();
    let excused: BTreeSet<Pair> = WITHOUT_A_PLAN
        .iter()
        .map(|(story, fault, _)| (*story, *fault))
        .filter(|(story, _)| told(story))
        .collect();
    for (story, fault, reason) in WITHOUT_A_PLAN {
        println!("chaos: left out: {story} with {}: {reason}", fault.as_str());
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for story in stories {
        for (reason, count) in tally(
            story,
            references[story.name].calls.iter().filter(|place| is_struck(story, place)),
        ) {
            *counts.entry(reason).or_default() += count;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable();
    for (reason, count) in counts {
        println!("chaos: left out at {count} calls: {reason}");
    }
    for (story, fault) in missing.symmetric_difference(&excused) {
        println!(
            "FAILED {story} with {}: a plan tries this pair although it is listed as left out, or \
             no plan tries it and it is not listed",
            fault.as_str()
        );
    }
    missing == excused
}

/// Shortens an error to one line of at most 300 characters. A panic has already printed the rest.
pub fn one_line(why: &str) -> String {
    why.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()
}
