//! The arguments of the operator's binary. Each has an environment variable of the same name:
//! `--drain` is `SAGA_DRAIN`.
//!
//! # Guarantees
//! A value that cannot be used is refused before anything starts, with a sentence that says what to
//! write instead. No argument is accepted and then ignored, but for the settings of circuits that
//! `--http-circuit-calls=0` switches off.

mod calls;
mod circuits;
mod egress;
mod value;

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use clap::{ArgAction, Args, Parser, Subcommand};

use self::{
    calls::CallArgs,
    circuits::CircuitArgs,
    egress::EgressArgs,
    value::{List, duration, list},
};
use super::telemetry::{self, LogFormat, LogOutput};
use crate::egress::policy::EgressRules;

pub use self::{calls::CallLimits, circuits::CircuitConfig};

/// The longest `--drain`. The grace period of a pod must be longer still, and nobody waits that
/// long for a node to be drained.
const MAX_DRAIN: Duration = Duration::from_mins(5);

/// The command line of `saga-operator`.
#[derive(Debug, Parser)]
#[command(
    name = "saga-operator",
    version,
    about = "Runs business transactions and rollouts as sagas"
)]
pub struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands of `saga-operator`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator until it receives SIGTERM or SIGINT
    Run(Box<RunArgs>),
    /// Print the definition of the Saga resource as YAML
    Crd,
}

/// The arguments of `saga-operator run` as written. [`RunArgs::validate`] makes a [`RunConfig`] of
/// them.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    egress: EgressArgs,

    #[command(flatten)]
    http_calls: CallArgs,

    #[command(flatten)]
    http_circuits: CircuitArgs,

    /// The addresses of the operator's own pod, which HTTP steps may not reach: comma-separated.
    /// The chart takes them from the status of the pod
    #[arg(
        long,
        env = "SAGA_POD_IPS",
        value_name = "ADDRESSES",
        value_parser = addresses,
        action = ArgAction::Append
    )]
    pod_ips: Vec<List<IpAddr>>,

    /// The address on which /metrics is served; 0 switches it off
    #[arg(
        long,
        env = "SAGA_METRICS_ADDR",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080",
        value_parser = listen
    )]
    metrics_addr: Listen,

    /// The address on which /healthz and /readyz are served; 0 switches them off
    #[arg(
        long,
        env = "SAGA_HEALTH_ADDR",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8081",
        value_parser = listen
    )]
    health_addr: Listen,

    /// Whether /health/circuits, beside /healthz, lists the circuits of HTTP requests. Who reaches
    /// the address then reads the namespaces of sagas and the hosts that they call
    #[arg(
        long,
        env = "SAGA_CIRCUITS_ENDPOINT",
        value_name = "BOOL",
        default_value = "false",
        num_args = 0..=1,
        default_missing_value = "true",
        value_parser = circuits_endpoint,
        action = ArgAction::Set
    )]
    circuits_endpoint: bool,

    /// Whether only one of several replicas works at a time, while the others stand by
    #[arg(
        long,
        env = "SAGA_LEADER_ELECT",
        value_name = "BOOL",
        default_value = "false",
        num_args = 0..=1,
        default_missing_value = "true",
        value_parser = leader_elect,
        action = ArgAction::Set
    )]
    leader_elect: bool,

    /// The namespace of the operator's Leases. When not given, the namespace of the operator's pod,
    /// else the namespace of the kubeconfig's context, else `default`
    #[arg(
        long,
        env = "SAGA_LEASE_NAMESPACE",
        value_name = "NAMESPACE",
        value_parser = lease_namespace
    )]
    lease_namespace: Option<LeaseNamespace>,

    /// How long HTTP requests may take to finish after SIGTERM, such as 25s or 1m30s; at most 5m
    #[arg(
        long,
        env = "SAGA_DRAIN",
        value_name = "DURATION",
        default_value = "25s",
        value_parser = drain
    )]
    drain: Duration,

    /// The namespaces to watch, comma-separated; all namespaces when not given
    #[arg(
        long,
        env = "SAGA_WATCH_NAMESPACES",
        value_name = "NAMESPACES",
        value_parser = namespaces,
        action = ArgAction::Append
    )]
    watch_namespaces: Vec<List<String>>,

    /// The format of the log; text if standard error is a terminal, else json
    #[arg(long, env = "SAGA_LOG_FORMAT", value_name = "FORMAT", value_enum)]
    log_format: Option<LogFormat>,

    /// The log level, or directives such as `info,saga_operator=debug`
    #[arg(
        long,
        env = "SAGA_LOG_LEVEL",
        value_name = "FILTER",
        default_value = "info",
        value_parser = log_level
    )]
    log_level: String,
}

/// The configuration of `saga-operator run`, with every value checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunConfig {
    /// What HTTP steps may reach. [`EgressRules::check`] accepts it.
    pub egress: EgressRules,
    /// The addresses of the operator itself, which HTTP steps may not reach.
    pub pod_ips: Vec<IpAddr>,
    /// How many HTTP requests may be in flight.
    pub http_calls: CallLimits,
    /// When HTTP circuit breakers open, and for how long; `None` = never.
    pub http_circuits: Option<CircuitConfig>,
    /// The address on which `/metrics` is served; `None` = nowhere.
    pub metrics_addr: Option<SocketAddr>,
    /// The address on which `/healthz` and `/readyz` are served; `None` = nowhere.
    pub health_addr: Option<SocketAddr>,
    /// Whether that address also serves `/health/circuits`.
    pub circuits_endpoint: bool,
    /// Whether the operator works only while it leads: while it holds the Lease for which all
    /// replicas that work on the same sagas compete.
    pub leader_elect: bool,
    /// The namespace of the operator's Leases, a DNS label; `None` = the pod's own namespace, else
    /// the namespace of the kubeconfig's context.
    pub lease_namespace: Option<String>,
    /// How long HTTP requests may take to finish after SIGTERM: 0 to 5 minutes.
    pub drain: Duration,
    /// The namespaces to watch, each a DNS label; empty = all.
    pub watch_namespaces: BTreeSet<String>,
    /// The format of the log.
    pub log_format: LogFormat,
    /// The log filter. [`telemetry::filter`] accepts it.
    pub log_level: String,
}

impl RunArgs {
    /// Checks the arguments against each other and fills in what depends on the process: `output`
    /// chooses the format of the log if none is given.
    ///
    /// # Errors
    /// Returns a sentence that names the argument that is wrong.
    pub fn validate(self, output: LogOutput) -> Result<RunConfig, String> {
        let Self {
            egress,
            http_calls,
            http_circuits,
            pod_ips,
            metrics_addr: Listen(metrics_addr),
            health_addr: Listen(health_addr),
            circuits_endpoint,
            leader_elect,
            lease_namespace,
            drain,
            watch_namespaces,
            log_format,
            log_level,
        } = self;
        if let (Some(metrics), Some(probes)) = (metrics_addr, health_addr)
            && metrics == probes
            && metrics.port() != 0
        {
            return Err(format!(
                "--metrics-addr and --health-addr are both {metrics}: give each a port of its \
                 own, or 0 to switch it off"
            ));
        }
        Ok(RunConfig {
            egress: egress.validate()?,
            pod_ips: pod_ips.into_iter().flat_map(|List(items)| items).collect(),
            http_calls: http_calls.validate()?,
            http_circuits: http_circuits.config(),
            metrics_addr,
            health_addr,
            circuits_endpoint,
            leader_elect,
            lease_namespace: lease_namespace.and_then(|LeaseNamespace(namespace)| namespace),
            drain,
            watch_namespaces: watch_namespaces.into_iter().flat_map(|List(items)| items).collect(),
            log_format: log_format.unwrap_or(match output {
                LogOutput::Terminal => LogFormat::Text,
                LogOutput::Redirected => LogFormat::Json,
            }),
            log_level,
        })
    }
}

/// An address to listen on, or `0`.
#[derive(Clone, Copy, Debug)]
struct Listen(Option<SocketAddr>);

/// A namespace, or the empty text that a chart passes if no namespace is set.
#[derive(Clone, Debug)]
struct LeaseNamespace(Option<String>);

fn addresses(text: &str) -> Result<List<IpAddr>, String> {
    list(text, |entry| {
        entry.parse().map_err(|_| {
            format!(
                "`{entry}` is no address of a pod: write an IP address, \
            such as 10.244.1.7 or fd00::7"
            )
        })
    })
}

fn listen(text: &str) -> Result<Listen, String> {
    if text == "0" {
        return Ok(Listen(None));
    }
    text.parse().map(|address| Listen(Some(address))).map_err(|_| {
        format!(
            "`{text}` is no address to listen on: write an IP address and a port, such as \
             0.0.0.0:8080 or [::]:8080, or 0 to switch it off"
        )
    })
}

fn circuits_endpoint(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| {
        format!(
            "`{text}` is neither true nor false: write true to list the circuits at \
            /health/circuits, else false"
        )
    })
}

fn leader_elect(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| {
        format!(
            "`{text}` is neither true nor false: write true where several \
            operators work on the same sagas, else false"
        )
    })
}

fn lease_namespace(text: &str) -> Result<LeaseNamespace, String> {
    if text.is_empty() {
        Ok(LeaseNamespace(None))
    } else {
        namespace(text).map(|namespace| LeaseNamespace(Some(namespace)))
    }
}

/// Parses a duration from 0 to [`MAX_DRAIN`].
fn drain(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration > MAX_DRAIN {
        return Err(format!(
            "`{text}` is too long: write at most 5m, and give the pod a longer \
             terminationGracePeriodSeconds"
        ));
    }
    Ok(duration)
}

fn namespaces(text: &str) -> Result<List<String>, String> {
    list(text, namespace)
}

/// Checks for a DNS label (RFC 1123), which the name of every namespace is.
fn namespace(text: &str) -> Result<String, String> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let edges = !text.starts_with('-') && !text.ends_with('-');
    if (1..=63).contains(&text.len()) && edges && text.bytes().all(inner) {
        return Ok(text.into());
    }
    Err(format!(
        "`{text}` is no name of a namespace: write at most 63 lower-case letters, digits and -, \
         with a letter or digit at both ends"
    ))
}

fn log_level(text: &str) -> Result<String, String> {
    telemetry::filter(text).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests;
