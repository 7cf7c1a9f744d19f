//! Connects the parts of the controller and runs them until the process is asked to stop.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ::http::Request;
use ::http::Response;
use hyper::body::{Body as HttpBody, Bytes};
use kube::{client::Body, runtime::reflector::Store};
use tokio::{sync::watch::Sender, task::JoinHandle, time};
use tower::{BoxError, Layer, Service, layer::util::Identity};

use super::{
    connect::{Connected, connect},
    context::Context,
    drive::drive,
    gc::janitor,
    lease::{leader, old_leases::delete_old_leases},
    lifecycle::until_true,
    watch::sync::{CacheSync, fill},
};
use crate::{
    api::StoredSaga,
    coordination::election::CacheState,
    service::{
        admin::{Admin, Probes},
        args::RunConfig,
        client::Network,
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
    let (metrics, probes) = (Metrics::new(env!("CARGO_PKG_VERSION")), Probes::default());
    let admin = bind(&config, &metrics, &probes).await?;
    let Connected { context, watches, enqueued, candidacy } =
        connect(&config, metrics, layer).await?;
    let ((stop, stopped), (resign, resigned)) =
        (tokio::sync::watch::channel(false), tokio::sync::watch::channel(false));
    let (sagas, cache_syncs): (Vec<_>, Vec<_>) =
        watches.iter().map(|watch| (watch.sagas(), watch.cache_sync())).unzip();
    let (warms, cache_state) = tokio::sync::watch::channel(CacheState::Cold);
    let reconciles = async {
        first_looks(&context).await;
        drive(watches, enqueued, Arc::clone(&context), stopped.clone()).await;
    };
    // These are separate tasks, so that a large number of sagas to reconcile does not delay a
    // renewal.
    let mut keeper = tokio::spawn(keep_lease(Arc::clone(&context)));
    let mut leader =
        tokio::spawn(leader::run(candidacy, context.process(), cache_state, until_true(resigned)));
    let admin = tokio::spawn(admin.serve(until_true(stopped.clone())));
    let draining = async {
        shutdown.requested().await;
        probes.draining();
        context.lifecycle.drain();
        // Another replica may take over at once, while HTTP requests end here. If the receiver is
        // gone, the election has ended already.
        let _ = resign.send(true);
        drain(&context, config.drain).await;
        // If the reconciles have ended already, nobody receives the signal.
        let _ = stop.send(true);
        time::sleep(LAST_WRITES).await;
    };
    tokio::select! {
        () = reconciles => {}
        () = draining => tracing::warn!("some reconciles did not end in time"),
        () = tend(&context, &cache_syncs, &sagas, &warms, &probes) => {}
        _ = &mut keeper => tracing::error!("the task that renews the executor's Lease ended"),
        () = unless_asked(&mut leader, &shutdown) => tracing::error!("the task that takes part in \
            the leader election ended"),
        () = delete_old_leases(&context.outbound.leases) => {}
        () = context.cluster.request_policy.keep() => {}
        () = context.cluster.definition.keep(|| context.queue.enqueue_where(is_not_accepted)) => {}
        () = shutdown.immediate() => tracing::warn!("a second stop signal came: the operator stops \
            at once"),
    }
    let _ = (stop.send(true), resign.send(true));
    context.memory.trials.stop();
    end(keeper, leader).await;
    if shutdown.is_requested() {
        // A second signal does not wait for HTTP requests. None may continue once the Lease is
        // released, because the released Lease says that none does.
        context.memory.attempts.abort_all();
        context.outbound.own.release().await;
    }
    // The probes end with the process.
    let _ = time::timeout(Duration::from_secs(1), admin).await;
    if shutdown.is_requested() {
        Ok(())
    } else {
        Err("a watch or the executor ended, which must not happen: start the operator again".into())
    }
}

/// Binds the addresses of the servers for scrapers and probes.
async fn bind(
    config: &RunConfig,
    metrics: &Arc<Metrics>,
    probes: &Probes,
) -> Result<Admin, String> {
    let listed = config.circuits_endpoint.then(|| metrics.circuits().clone());
    let (metrics, probes) = (Arc::clone(metrics), probes.clone());
    Admin::bind(config.metrics_addr, config.health_addr, metrics, probes, listed).await
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
            context.outbound.own.first(),
            context.cluster.request_policy.look(),
            context.cluster.definition.look(),
        ),
    )
    .await;
}

/// Reports when the caches are filled and the process is ready, and removes old memory. The two
/// tasks do not wait for each other: if one namespace cannot be listed, the process works in the
/// other namespaces. Never returns.
pub(in crate::controller) async fn tend(
    context: &Context,
    cache_syncs: &[CacheSync],
    sagas: &[Store<StoredSaga>],
    warms: &Sender<CacheState>,
    probes: &Probes,
) {
    let ready = async {
        fill(cache_syncs, &context.cluster.watch_health, warms).await;
        context.outbound.own.first().await;
        probes.ready();
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

/// Returns whether a saga is not accepted, so that it may wait for another served definition.
fn is_not_accepted(saga: &StoredSaga) -> bool {
    saga.status.as_ref().is_ok_and(|status| status.spec_hash.is_none())
}

/// Renews the executor's Lease. Never returns.
async fn keep_lease(context: Arc<Context>) {
    context.outbound.own.run(&context.memory, &context.queue).await;
}

/// Waits until HTTP requests have ended and their outcomes are written, for at most `limit`.
async fn drain(context: &Context, limit: Duration) {
    let begun = Instant::now();
    tracing::info!(
        requests = context.memory.attempts.unrecorded_requests(),
        "a stop signal came: no new attempt begins, and requests in flight may end"
    );
    // The order matters: once nothing begins any more, all HTTP requests are known.
    while (context.lifecycle.has_permits() || context.memory.attempts.unrecorded_requests() > 0)
        && begun.elapsed() < limit
    {
        time::sleep(DRAIN_POLL).await;
    }
    let called_off = context.memory.attempts.abort_all();
    if called_off.is_empty() {
        return;
    }
    tracing::warn!(
        requests = called_off.len(),
        "some requests did not end in time: their outcome is unknown"
    );
    // Only this process knows that it called them off.
    for saga in &called_off {
        context.queue.enqueue(saga);
    }
    let begun = Instant::now();
    while context.memory.attempts.unrecorded_requests() > 0 && begun.elapsed() < RECORDED {
        time::sleep(DRAIN_POLL).await;
    }
}
