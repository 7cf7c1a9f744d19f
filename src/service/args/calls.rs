//! The arguments of the limits on HTTP requests in flight.

use clap::Args;

/// The limits of an operator that is given none.
const DEFAULT: CallLimits = CallLimits { per_host: 32, per_namespace: 64, total: 1024 };

/// The largest number that may be set: each HTTP request in flight has a socket, and memory for its
/// answer.
const MOST: usize = 65_536;

/// The arguments as written.
#[derive(Debug, Args)]
pub(super) struct CallArgs {
    /// How many HTTP requests of one namespace may be in flight to one host, whatever the port: 1
    /// to `--http-calls-per-namespace`
    #[arg(
        long = "http-calls-per-host",
        env = "SAGA_HTTP_CALLS_PER_HOST",
        value_name = "CALLS",
        default_value_t = DEFAULT.per_host,
        value_parser = calls
    )]
    per_host: usize,

    /// How many HTTP requests of one namespace may be in flight: at most `--http-calls`
    #[arg(
        long = "http-calls-per-namespace",
        env = "SAGA_HTTP_CALLS_PER_NAMESPACE",
        value_name = "CALLS",
        default_value_t = DEFAULT.per_namespace,
        value_parser = calls
    )]
    per_namespace: usize,

    /// How many HTTP requests of this operator may be in flight: at most 65536. Each has a socket,
    /// and memory for its answer
    #[arg(
        long = "http-calls",
        env = "SAGA_HTTP_CALLS",
        value_name = "CALLS",
        default_value_t = DEFAULT.total,
        value_parser = calls
    )]
    total: usize,
}

/// How many HTTP requests may be in flight. Each number is at least 1 and at most the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Of one namespace to one host, whatever the port.
    pub per_host: usize,
    /// Of one namespace.
    pub per_namespace: usize,
    /// Of this process.
    pub total: usize,
}

impl Default for CallLimits {
    fn default() -> Self {
        DEFAULT
    }
}

impl CallArgs {
    /// Compares the limits.
    ///
    /// # Errors
    /// Returns a sentence that names the limit that could never be reached.
    pub(super) fn validate(self) -> Result<CallLimits, String> {
        let Self { per_host, per_namespace, total } = self;
        for (narrow, of_narrow, wide, of_wide) in [
            ("per-host", per_host, "-per-namespace", per_namespace),
            ("per-namespace", per_namespace, "", total),
        ] {
            if of_narrow > of_wide {
                return Err(format!(
                    "--http-calls-{narrow} is {of_narrow} and can never be reached, because \
                     --http-calls{wide} is {of_wide}: write at most {of_wide}, or raise \
                     --http-calls{wide}"
                ));
            }
        }
        Ok(CallLimits { per_host, per_namespace, total })
    }
}

fn calls(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|calls| (1..=MOST).contains(calls)).ok_or_else(|| {
        format!("`{text}` is no number of calls: write a whole number from 1 to {MOST}, such as 64")
    })
}
