//! The arguments of the HTTP circuit breakers.

use std::time::Duration;

use clap::Args;

use super::value::duration;

/// The shortest and the longest duration of both arguments: a shorter window counts nothing, and a
/// longer pause is an outage in itself.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_hours(1);
/// The largest number of HTTP requests that may be set.
const MOST_CALLS: u32 = 1_000_000;

/// The arguments as written.
#[derive(Debug, Args)]
pub(super) struct CircuitArgs {
    /// The number of HTTP requests to a host within the window from which on a circuit may open, at
    /// most 1000000; 0 switches circuits off
    #[arg(
        long = "http-circuit-calls",
        env = "SAGA_HTTP_CIRCUIT_CALLS",
        value_name = "CALLS",
        default_value = "20",
        value_parser = calls
    )]
    calls: u32,

    /// How long an HTTP request counts, such as 60s; 1s to 1h
    #[arg(
        long = "http-circuit-window",
        env = "SAGA_HTTP_CIRCUIT_WINDOW",
        value_name = "DURATION",
        default_value = "60s",
        value_parser = length
    )]
    window: Duration,

    /// The percentage of HTTP requests with an unknown outcome from which on a circuit opens: 1 to
    /// 100
    #[arg(
        long = "http-circuit-unknown-percent",
        env = "SAGA_HTTP_CIRCUIT_UNKNOWN_PERCENT",
        value_name = "PERCENT",
        default_value = "50",
        value_parser = percent
    )]
    unknown_percent: u32,

    /// How long a circuit stays open before one HTTP request tries whether the host answers again,
    /// such as 30s; 1s to 1h
    #[arg(
        long = "http-circuit-open",
        env = "SAGA_HTTP_CIRCUIT_OPEN",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = length
    )]
    open: Duration,
}

/// When the circuit of a host opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitConfig {
    /// The number of HTTP requests within the window from which on the circuit may open: 1 to
    /// 1,000,000.
    pub calls: u32,
    /// How long an HTTP request counts: 1 s to 1 h.
    pub window: Duration,
    /// The percentage of HTTP requests with an unknown outcome from which on the circuit opens: 1
    /// to 100.
    pub unknown_percent: u32,
    /// How long the circuit stays open: 1 s to 1 h.
    pub open: Duration,
}

impl CircuitArgs {
    /// Returns the meaning of the arguments; `None` = no circuits.
    pub(super) fn config(self) -> Option<CircuitConfig> {
        let Self { calls, window, unknown_percent, open } = self;
        (calls > 0).then_some(CircuitConfig { calls, window, unknown_percent, open })
    }
}

fn calls(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|calls| *calls <= MOST_CALLS).ok_or_else(|| {
        format!(
            "`{text}` is no number of calls: write a whole number from 1 to {MOST_CALLS}, \
            such as 20, or 0 to switch circuits off"
        )
    })
}

fn percent(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|percent| (1..=100).contains(percent)).ok_or_else(|| {
        format!(
            "`{text}` is no percentage: write a whole number from 1 to 100, such as 50; \
            --http-circuit-calls=0 switches circuits off"
        )
    })
}

fn length(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if (SHORTEST..=LONGEST).contains(&duration) {
        return Ok(duration);
    }
    Err(format!(
        "`{text}` is out of bounds: write at least 1s and at most 1h; --http-circuit-calls=0 \
         switches circuits off"
    ))
}
