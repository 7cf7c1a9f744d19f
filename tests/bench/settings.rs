//! The settings from the environment.

use std::{fmt, str::FromStr, time::Duration};

use serde::Serialize;

/// The kind of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    Pods,
    Requests,
}

/// The number of chains, and the way in which they start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Load {
    pub chains: usize,
    /// Whether the chains start one after the other, with a pause between them. Otherwise, all
    /// chains start at the same time.
    pub slow: bool,
}

/// The settings. The documentation of `main.rs` describes them.
#[derive(Debug, Serialize)]
pub struct Settings {
    pub work: Vec<Work>,
    pub loads: Vec<Load>,
    pub pace: Duration,
    pub rounds: usize,
    pub patience: Duration,
    pub seed: u64,
}

impl Settings {
    pub fn read() -> Self {
        Self {
            work: list("SAGA_BENCH_WORK", "pods,requests"),
            loads: list("SAGA_BENCH_LOADS", "slow:20,100,500"),
            pace: Duration::from_millis(one("SAGA_BENCH_PACE", "2000")),
            rounds: one("SAGA_BENCH_ROUNDS", "1"),
            patience: Duration::from_secs(one("SAGA_BENCH_PATIENCE", "900")),
            seed: one("SAGA_SEED", &(jiff::Timestamp::now().as_second() % 1_000_000).to_string()),
        }
    }

    /// Returns the measurements in their order: round, work, load.
    pub fn cases(&self) -> Vec<(usize, Work, Load)> {
        let rounds =
            (1..=self.rounds).flat_map(|round| self.work.iter().map(move |work| (round, *work)));
        rounds
            .flat_map(|(round, work)| self.loads.iter().map(move |load| (round, work, *load)))
            .collect()
    }

    /// Returns random number `nth` of the seed (`SplitMix64`).
    pub const fn draw(&self, nth: u64) -> u64 {
        let mut number =
            self.seed.wrapping_add(nth.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    /// Returns the pause before chain `nth` of a slow load: the pace, by half more or less. The
    /// variation prevents a common rhythm with any timer.
    pub fn pause(&self, nth: u64) -> Duration {
        let permille = u32::try_from(500 + self.draw(nth) % 1000).unwrap();
        self.pace * permille / 1000
    }
}

impl FromStr for Work {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "pods" => Ok(Self::Pods),
            "requests" => Ok(Self::Requests),
            _ => Err("write pods or requests"),
        }
    }
}

impl FromStr for Load {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let slow = text.strip_prefix("slow:");
        let chains =
            slow.unwrap_or(text).parse().map_err(|_| "write a number, such as 100 or slow:20")?;
        Ok(Self { chains, slow: slow.is_some() })
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pods => "pods",
            Self::Requests => "requests",
        })
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}{}", if self.slow { "slow:" } else { "" }, self.chains))
    }
}

fn one<T: FromStr<Err: fmt::Display>>(name: &str, default: &str) -> T {
    let text = std::env::var(name).unwrap_or_else(|_| default.to_owned());
    text.parse().unwrap_or_else(|why| panic!("{name} is {text}: {why}"))
}

fn list<T: FromStr<Err: fmt::Display>>(name: &str, default: &str) -> Vec<T> {
    let text = std::env::var(name).unwrap_or_else(|_| default.to_owned());
    text.split(',')
        .map(|item| item.trim().parse().unwrap_or_else(|why| panic!("{name} is {text}: {why}")))
        .collect()
}

/// Returns a setting that `run.sh` exports.
pub fn given(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run this by `make bench`, which starts the cluster it needs")
    })
}
