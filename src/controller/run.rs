//! Connects the parts of the controller and runs them until the process is asked to stop.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use ::http::Request;
use ::http::Response;
use hyper::body::{Body as HttpBody, Bytes};
use kube::{Api, Client, Config, client::Body, runtime::reflector::Store};
use tokio::{net::lookup_host, sync::watch::Sender, task::JoinHandle, time};
use tower::{BoxError, Layer, Service, layer::util::Identity};

use super::{
    cache::Caches,
    cluster::secrets::SecretReader,
    context::Context,
    gc::janitor,
    http::{call::HttpCaller, tls},
    lease::leader::Candidacy,
    limits::breakers::{Circuits, settings},
    watch::{
        streams::Watch,
        sync::{Filling, fill},
    },
};
use crate::{
    api::StoredSaga,
    controller::lease::leader,
    coordination::election::{self, Candidate, Warmth},
    egress::policy::Reach,
    service::{
        admin::{Admin, Health},
        args::RunConfig,
        client::{self, Network},
        metrics::Metrics,
        shutdown::Shutdown,
    },
};

/// The time between two checks whether all HTTP requests have ended while the process stops.
const DRAIN_POLL: Duration = Duration::from_millis(50);
/// The time limit for recording that HTTP requests were called off.
const RECORDED: Duration = Duration::from_secs(5);
/// How long the process waits for the first Lease before it reconciles sagas.
const FIRST_LEASE: Duration = Duration::from_secs(5);
/// How long the last reconciles may take after the HTTP requests have ended.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// Runs the operator until it is asked to stop.
///
/// # Errors
/// Returns a sentence that says what is missing if the operator cannot start or can never work
/// again.
pub async fn run(config: RunConfig) -> Result<(), String> {
    run_with(config, Identity::new()).await
}

/// Runs the operator as [`run`] does, with `layer` between the operator and the API server. A test
/// can use the layer to simulate network faults.
///
/// # Errors
/// As [`run`].
pub async fn run_with<L, B>(config: RunConfig, layer: L) -> Result<(), String>
where
    L: Layer<Network>,
    L::Service: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let shutdown =
        Shutdown::on_signals().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let (metrics, health) = (Metrics::new(env!("CARGO_PKG_VERSION")), Health::default());
    let admin =
        Admin::bind(config.metrics_addr, config.health_addr, Arc::clone(&metrics), health.clone())
            .await?;
    let Connected { context, watches, candidacy } = connect(&config, metrics, layer).await?;
    let ((stop, stopped), (resign, resigned)) =
        (tokio::sync::watch::channel(false), tokio::sync::watch::channel(false));
    let (sagas, fillings): (Vec<_>, Vec<_>) =
        watches.iter().map(|watch| (watch.sagas(), watch.filling())).unzip();
    let (warms, warmth) = tokio::sync::watch::channel(Warmth::Cold);
    let controllers = futures::future::join_all(
        watches.into_iter().map(|watch| watch.run(Arc::clone(&context), stopped.clone())),
    );
    let controllers = async {
        first_looks(&context).await;
        controllers.await
    };
    // These are separate tasks, so that a large number of sagas to reconcile does not delay a
    // renewal.
    let mut keeper = tokio::spawn(keep_lease(Arc::clone(&context)));
    let mut leader =
        tokio::spawn(leader::run(candidacy, Arc::clone(&context), warmth, wait(resigned)));
    let admin = tokio::spawn(admin.serve(wait(stopped.clone())));
    let draining = async {
        shutdown.requested().await;
        health.draining();
        context.drain();
        // Another replica may take over at once, while HTTP requests end here. If the receiver is
        // gone, the election has ended already.
        let _ = resign.send(true);
        drain(&context, config.drain).await;
        // If every controller has ended already, nobody receives the signal.
        let _ = stop.send(true);
        time::sleep(LAST_WRITES).await;
    };
    tokio::select! {
        _ = controllers => {}
        () = draining => tracing::warn!("some reconciles did not end in time"),
        () = tend(&context, &fillings, &sagas, &warms, &health) => {}
        _ = &mut keeper => tracing::error!("the executor's Lease is renewed no more"),
        () = unless_asked(&mut leader, &shutdown) => tracing::error!("nobody stands for \
            leadership any more"),
        () = context.own.sweep() => {}
        () = context.request_policy.keep() => {}
        () = context.definition.keep(|| context.announce_all(is_not_accepted)) => {}
        () = shutdown.immediate() => tracing::warn!("told to stop at once"),
    }
    let _ = (stop.send(true), resign.send(true));
    end(keeper, leader).await;
    if shutdown.is_requested() {
        // A second signal does not wait for HTTP requests. None may continue once the Lease is
        // released, because the released Lease says that none does.
        context.attempts.abort_all();
        context.own.release().await;
    }
    // The probes end with the process.
    let _ = time::timeout(Duration::from_secs(1), admin).await;
    if shutdown.is_requested() {
        Ok(())
    } else {
        Err("a watch or the executor ended, which must not happen: start the operator again".into())
    }
}

/// Waits for the first Lease, for the read of the policy that guards requests, and for the read of
/// the served definition. Waits at most [`FIRST_LEASE`].
async fn first_looks(context: &Context) {
    // Without a Lease nothing begins, but this process still follows what is under way. So the wait
    // is limited. The reads come first, so that no saga is accepted before they say what guards
    // requests.
    let _ = time::timeout(
        FIRST_LEASE,
        futures::future::join3(
            context.own.first(),
            context.request_policy.look(),
            context.definition.look(),
        ),
    )
    .await;
}

/// Reports when the caches are filled and the process is ready, and removes old memory. The two
/// tasks do not wait for each other: if one namespace cannot be listed, the process works in the
/// other namespaces. Never returns.
pub(crate) async fn tend(
    context: &Context,
    fillings: &[Filling],
    sagas: &[Store<StoredSaga>],
    warms: &Sender<Warmth>,
    health: &Health,
) {
    let ready = async {
        fill(fillings, &context.barred, warms).await;
        context.own.first().await;
        health.ready();
        tracing::info!("the caches are filled, and requests may be sent");
    };
    futures::future::join(ready, janitor(context, sagas)).await;
}

/// Waits for a task that ends when the process is asked to stop. Returns only if the task ended
/// before that.
async fn unless_asked(task: &mut JoinHandle<()>, shutdown: &Shutdown) {
    let _ended = task.await;
    if shutdown.is_requested() {
        std::future::pending::<()>().await;
    }
}

/// Ends the tasks that renew Leases. The leader task ends alone after it has released its Lease.
async fn end(keeper: JoinHandle<()>, leader: JoinHandle<()>) {
    if !keeper.is_finished() {
        keeper.abort();
        // The task was cancelled on purpose.
        let _ = keeper.await;
    }
    if !leader.is_finished() {
        let _ = leader.await;
    }
}

/// The connection to the cluster: the context, the watches, and the candidacy if a leader is
/// elected.
struct Connected {
    context: Arc<Context>,
    watches: Vec<Watch>,
    candidacy: Option<Candidacy>,
}

async fn connect<L, B>(
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
    let queues = watches.iter().map(Watch::queue).collect();
    let circuits = Circuits::new(config.http_circuits.map(settings), Arc::clone(&metrics));
    let context =
        Arc::new(Context::new(client, caller, metrics, circuits, leases.clone(), caches, queues));
    let candidacy = config.leader_elect.then(|| {
        let candidate = Candidate::new(
            election::lease_name(&config.watch_namespaces),
            format!("{}_{}", host(), context.instance),
        );
        Candidacy::new(leases, candidate)
    });
    context.lead(candidacy.is_none(), false);
    // The metrics hold a weak reference, because the context holds the metrics.
    let shown = Arc::downgrade(&context);
    context.metrics.circuits().show(move || {
        shown.upgrade().map(|context| context.circuits.reports()).unwrap_or_default()
    });
    let counted = Arc::downgrade(&context);
    context
        .metrics
        .sagas()
        .show(move || counted.upgrade().map(|context| context.census()).unwrap_or_default());
    tracing::info!(
        instance = context.instance,
        lease_namespace,
        version = env!("CARGO_PKG_VERSION"),
        "the operator starts"
    );
    Ok(Connected { context, watches, candidacy })
}

/// Returns whether a saga is not accepted, so that it may wait for another served definition.
fn is_not_accepted(saga: &StoredSaga) -> bool {
    saga.status.as_ref().is_ok_and(|status| status.spec_hash.is_none())
}

/// Returns the name of the machine. In a Pod it is the Pod's name.
fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".into(), |name| name.trim().to_owned())
}

/// Renews the executor's Lease. Never returns.
async fn keep_lease(context: Arc<Context>) {
    context.own.run(&context).await;
}

fn caller(
    config: &RunConfig,
    api_server: Vec<IpAddr>,
    client: &Client,
) -> Result<HttpCaller, String> {
    let tls =
        tls::tls_config().map_err(|error| format!("cannot set up TLS for HTTP steps: {error}"))?;
    Ok(HttpCaller::new(reach(config, api_server), tls, SecretReader::new(client.clone())))
}

fn reach(config: &RunConfig, api_server: Vec<IpAddr>) -> Reach {
    Reach::new(config.reach.clone(), api_server).operator_at(config.pod_ips.iter().copied())
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
                "the API server's host {host} cannot be resolved, so that no request could be \
                 kept from it: {error}"
            ));
        }
    };
    let mut addresses: Vec<_> = found.iter().map(SocketAddr::ip).collect();
    addresses.extend(
        std::env::var("KUBERNETES_SERVICE_HOST").ok().and_then(|host| host.parse::<IpAddr>().ok()),
    );
    Ok(addresses)
}

/// Waits until HTTP requests have ended and their outcomes are written, for at most `limit`.
async fn drain(context: &Context, limit: Duration) {
    let begun = Instant::now();
    tracing::info!(
        requests = context.attempts.unrecorded_requests(),
        "told to stop: nothing new begins, requests may end"
    );
    // The order matters: once nothing begins any more, all HTTP requests are known.
    while (context.is_beginning() || context.attempts.unrecorded_requests() > 0)
        && begun.elapsed() < limit
    {
        time::sleep(DRAIN_POLL).await;
    }
    let called_off = context.attempts.abort_all();
    if called_off.is_empty() {
        return;
    }
    tracing::warn!(
        requests = called_off.len(),
        "some requests did not end in time: their outcome is unknown"
    );
    // Only this process knows that it called them off.
    for (namespace, name) in called_off {
        context.announce(&namespace, &name);
    }
    let begun = Instant::now();
    while context.attempts.unrecorded_requests() > 0 && begun.elapsed() < RECORDED {
        time::sleep(DRAIN_POLL).await;
    }
}

pub(crate) async fn wait(mut stopped: tokio::sync::watch::Receiver<bool>) {
    // A dropped sender means the same as the value true.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

    use clap::Parser;

    use super::*;
    use crate::service::args::{Cli, Command};

    #[test]
    fn requests_reach_neither_the_operator_nor_the_api_server() {
        let command = Cli::try_parse_from(["saga-operator", "run", "--pod-ips=10.244.1.7,fd00::7"])
            .unwrap()
            .command;
        let Command::Run(arguments) = command else { panic!("not `run`") };
        let reach = reach(&arguments.validate(false).unwrap(), vec!["10.96.0.1".parse().unwrap()]);
        for (address, reached) in
            [("10.244.1.7", false), ("fd00::7", false), ("10.96.0.1", false), ("10.244.1.8", true)]
        {
            assert_eq!(
                reach.addresses.check(address.parse().unwrap()).is_ok(),
                reached,
                "{address}"
            );
        }
    }
}
