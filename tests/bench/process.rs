//! The CPU time and the memory of processes, from `/proc`.

use std::{collections::BTreeMap, fs::read_to_string};

use crate::settings::given;

/// The length of a tick in milliseconds. For user space, Linux uses a hundred ticks a second,
/// independent of the timer of the kernel.
const TICK: f64 = 10.0;

/// Returns the CPU time of a process so far, in milliseconds. The time includes ended threads.
pub fn cpu(pid: u32) -> f64 {
    let stat = read_to_string(format!("/proc/{pid}/stat"))
        .unwrap_or_else(|why| panic!("process {pid} is gone: {why}"));
    // The user time and the system time are the fields 14 and 15. The name is field 2. It may
    // contain blanks, and ends with the last parenthesis.
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    fields.skip(11).take(2).map(ticks).sum()
}

/// Returns the memory of a process in MiB: the current value and the maximum so far.
pub fn memory(pid: u32) -> [f64; 2] {
    let status = read_to_string(format!("/proc/{pid}/status")).unwrap();
    ["VmRSS:", "VmHWM:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    })
}

/// The CPU time until one instant, in milliseconds.
pub struct Spent {
    /// The CPU time of each process that `run.sh` started, of this process, and of the contestant.
    of: BTreeMap<String, f64>,
    /// The CPU time of all processes of the machine.
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
        // The fields are user, nice, system, idle, I/O wait, and interrupts. Idle and I/O wait do
        // not count.
        let machine = fields
            .iter()
            .enumerate()
            .filter(|(nth, _)| ![3, 4].contains(nth) && *nth < 8)
            .map(|(_, ticks)| ticks)
            .sum();
        Self { of, machine }
    }

    /// Returns the CPU time since `before`: for each process, and for all other processes together
    /// (`others`).
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
