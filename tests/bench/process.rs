//! What processes cost, from `/proc`.

use std::{collections::BTreeMap, fs::read_to_string};

use crate::settings::given;

/// Milliseconds of a tick: Linux tells user space a hundred a second, whatever its own timer does.
const TICK: f64 = 10.0;

/// The CPU time of a process so far, in milliseconds, that of its ended threads included.
pub fn cpu(pid: u32) -> f64 {
    let stat = read_to_string(format!("/proc/{pid}/stat"))
        .unwrap_or_else(|why| panic!("process {pid} is gone: {why}"));
    // User and system time, the 14th and 15th field; the name, which is the second, may hold
    // blanks, and ends with the last parenthesis.
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    fields.skip(11).take(2).map(ticks).sum()
}

/// The memory of a process in MiB: now, and the most that it ever had.
pub fn memory(pid: u32) -> [f64; 2] {
    let status = read_to_string(format!("/proc/{pid}/status")).unwrap();
    ["VmRSS:", "VmHWM:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    })
}

/// The CPU time at one instant, in milliseconds.
pub struct Spent {
    /// Of each process that `run.sh` started, of this one, and of the contestant.
    of: BTreeMap<String, f64>,
    /// Of all processes of the machine.
    machine: f64,
}

impl Spent {
    pub fn now(contestant: u32) -> Self {
        let processes = given("SAGA_BENCH_PROCESSES");
        let mut of: BTreeMap<_, _> = processes
            .split_whitespace()
            .map(|process| process.split_once('=').unwrap())
            .map(counted)
            .collect();
        of.insert("bench".to_owned(), cpu(std::process::id()));
        of.insert("contestant".to_owned(), cpu(contestant));
        let stat = read_to_string("/proc/stat").unwrap();
        let fields: Vec<_> =
            stat.lines().next().unwrap().split_whitespace().skip(1).map(ticks).collect();
        // user, nice, system, then idle and waiting, which do not count, then interrupts.
        let machine = fields
            .iter()
            .enumerate()
            .filter(|(nth, _)| ![3, 4].contains(nth) && *nth < 8)
            .map(|(_, ticks)| ticks)
            .sum();
        Self { of, machine }
    }

    /// What was spent since: by each process, and by all others together (`others`).
    pub fn since(&self, before: &Self) -> BTreeMap<String, f64> {
        let mut spent: BTreeMap<_, _> =
            self.of.iter().map(|(name, now)| (name.clone(), now - before.of[name])).collect();
        let others = self.machine - before.machine - spent.values().sum::<f64>();
        spent.insert("others".to_owned(), others.max(0.0));
        spent
    }
}

fn counted((name, pid): (&str, &str)) -> (String, f64) {
    (name.to_owned(), cpu(pid.parse().unwrap()))
}

fn ticks(field: &str) -> f64 {
    field.parse::<f64>().unwrap() * TICK
}
