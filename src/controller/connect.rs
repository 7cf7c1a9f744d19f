//! Connects the parts of the controller to the cluster.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::{Request, Response};
use hyper::body::{Body as HttpBody, Bytes};
use kube::{Api, Client, Config, client::Body};
use tokio::{net::lookup_host, sync::mpsc};
use tower::{BoxError, Layer, Service};

use super::{
    cache::Caches,
    cluster::{connection::Cluster, secrets::SecretReader},
    context::Context,
    evaluations::Evaluations,
    http::{call::HttpCaller, tls},
    lease::leader::Candidacy,
    lifecycle::Role,
    limits::{
        breakers::{Circuits, settings},
        trials::TrialGates,
    },
    outbound::Outbound,
    queue::{Queue, SagaRef},
    watch::streams::Watch,
};
use crate::{
    coordination::election::{self, Candidate},
    egress::policy::EgressPolicy,
    service::{
        args::RunConfig,
        client::{self, Network},
        metrics::Metrics,
    },
};

/// The connection to the cluster: the context, the watches, the sagas that are enqueued, and the
/// candidacy if a leader is elected.
pub(super) struct Connected {
    pub(super) context: Arc<Context>,
    pub(super) watches: Vec<Watch>,
    pub(super) enqueued: mpsc::UnboundedReceiver<SagaRef>,
    pub(super) candidacy: Option<Candidacy>,
}

/// Connects to the cluster of the environment. `layer`: see [`super::run::run_with`].
///
/// # Errors
/// Returns a sentence that says what is missing.
pub(super) async fn connect<L, B>(
    config: &RunConfig,
    metrics: Arc<Metrics>,
    layer: L,
) -> Result<Connected, String>
where
    L: Layer<Network>,
    L::Service: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let kube = Config::infer().await.map_err(|error| {
        format!("no cluster to work in: {error}; set KUBECONFIG or run in a Pod")
    })?;
    let api_server = addresses(&kube).await?;
    let lease_namespace =
        config.lease_namespace.clone().unwrap_or_else(|| kube.default_namespace.clone());
    let client = client::client_with(kube, layer)
        .map_err(|error| format!("cannot make a client: {error}"))?;
    let caller = caller(config, api_server, &client)?;
    let watches: Vec<_> = if config.watch_namespaces.is_empty() {
        vec![Watch::new(&client, None)]
    } else {
        config
            .watch_namespaces
            .iter()
            .map(|namespace| Watch::new(&client, Some(namespace)))
            .collect()
    };
    let leases = Api::namespaced(client.clone(), &lease_namespace);
    let caches = Caches {
        sagas: watches.iter().map(Watch::sagas).collect(),
        pods: watches.iter().map(Watch::pods).collect(),
        jobs: watches.iter().map(Watch::jobs).collect(),
    };
    let circuits = Circuits::new(config.http_circuits.map(settings), Arc::clone(&metrics));
    let (queue, enqueued) = Queue::new(caches.sagas.clone());
    let outbound =
        Outbound::new(caller, config.http_calls, circuits, leases.clone(), queue.clone());
    let context = Arc::new(Context {
        cluster: Arc::new(Cluster::new(client, caches)),
        queue,
        memory: Arc::default(),
        outbound: Arc::new(outbound),
        lifecycle: Arc::default(),
        evaluations: Evaluations::default(),
        trial_gates: TrialGates::default(),
        metrics,
    });
    let candidacy = config.leader_elect.then(|| {
        let candidate = Candidate::new(
            election::lease_name(&config.watch_namespaces),
            format!("{}_{}", host(), context.cluster.instance),
        );
        Candidacy::new(leases, candidate)
    });
    let role = if candidacy.is_none() { Role::LeaderAgain } else { Role::Standby };
    context.lifecycle.turn(role, &context.memory.attempts, &context.metrics);
    show(&context);
    tracing::info!(
        instance = context.cluster.instance,
        lease_namespace,
        version = env!("CARGO_PKG_VERSION"),
        "the operator starts"
    );
    Ok(Connected { context, watches, enqueued, candidacy })
}

/// Shows the breakers, the HTTP requests and the sagas of this process in its metrics.
fn show(context: &Arc<Context>) {
    // The metrics hold a weak reference, because the context holds the metrics.
    let shown = Arc::downgrade(context);
    context.metrics.circuits().set(move || {
        shown.upgrade().map(|context| context.outbound.circuits.reports()).unwrap_or_default()
    });
    let used = Arc::downgrade(context);
    context
        .metrics
        .calls()
        .set(move || used.upgrade().map(|context| context.outbound.usage()).unwrap_or_default());
    let counted = Arc::downgrade(context);
    context
        .metrics
        .sagas()
        .set(move || counted.upgrade().map(|context| context.cluster.census()).unwrap_or_default());
}

/// Returns the name of the machine. In a Pod it is the Pod's name.
fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".into(), |name| name.trim().to_owned())
}

fn caller(
    config: &RunConfig,
    api_server: Vec<IpAddr>,
    client: &Client,
) -> Result<HttpCaller, String> {
    let tls =
        tls::tls_config().map_err(|error| format!("cannot set up TLS for HTTP steps: {error}"))?;
    Ok(HttpCaller::new(egress(config, api_server), tls, SecretReader::new(client.clone())))
}

fn egress(config: &RunConfig, api_server: Vec<IpAddr>) -> EgressPolicy {
    EgressPolicy::new(config.egress.clone(), api_server).operator_at(config.pod_ips.iter().copied())
}

/// Returns the addresses of the API server, which no step may call: as configured, and as Pods see
/// it. The addresses of the nodes behind them are not read: that would need one more right in the
/// cluster.
async fn addresses(kube: &Config) -> Result<Vec<IpAddr>, String> {
    let host = kube.cluster_url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let found = match lookup_host((host.as_str(), kube.cluster_url.port_u16().unwrap_or(443))).await
    {
        Ok(found) => found.collect(),
        // If only the proxy can resolve the name, a direct HTTP request cannot reach the API server
        // by it.
        Err(_) if kube.proxy_url.is_some() => Vec::new(),
        Err(error) => {
            return Err(format!(
                "the API server's host {host} cannot be resolved, so requests to it could not be \
                 refused: {error}"
            ));
        }
    };
    let mut addresses: Vec<_> = found.iter().map(SocketAddr::ip).collect();
    addresses.extend(
        std::env::var("KUBERNETES_SERVICE_HOST").ok().and_then(|host| host.parse::<IpAddr>().ok()),
    );
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

    use clap::Parser;

    use super::*;
    use crate::service::{
        args::{Cli, Command},
        telemetry::LogOutput,
    };

    #[test]
    fn requests_reach_neither_the_operator_nor_the_api_server() {
        let command = Cli::try_parse_from(["saga-operator", "run", "--pod-ips=10.244.1.7,fd00::7"])
            .unwrap()
            .command;
        let Command::Run(arguments) = command else { panic!("not `run`") };
        let config = arguments.validate(LogOutput::Redirected).unwrap();
        let egress = egress(&config, vec!["10.96.0.1".parse().unwrap()]);
        for (address, reached) in
            [("10.244.1.7", false), ("fd00::7", false), ("10.96.0.1", false), ("10.244.1.8", true)]
        {
            assert_eq!(
                egress.addresses.check(address.parse().unwrap()).is_ok(),
                reached,
                "{address}"
            );
        }
    }
}
