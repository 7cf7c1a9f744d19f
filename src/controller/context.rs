//! The state that all reconciles share, in parts. Only the composition of the process, the
//! reconcile and the removal of old memory see all parts.

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use jiff::Timestamp;

use super::{
    cluster::connection::Cluster, effects::performance::Performance, evaluations::Evaluations,
    lease::leader::Process, lifecycle::Lifecycle, limits::trials::TrialGates,
    memory::memories::Memory, observe::sources::Sources, outbound::Outbound, parts::Parts,
    precheck::Tools, queue::Queue, watch::listeners::Listeners,
};
use crate::{api::StoredSaga, service::metrics::Metrics};

/// The state that all reconciles share.
pub struct Context {
    /// The connection to the cluster.
    pub cluster: Arc<Cluster>,
    /// The queue of sagas to reconcile.
    pub queue: Queue,
    /// What this process remembers.
    pub memory: Arc<Memory>,
    /// What HTTP requests need.
    pub outbound: Arc<Outbound>,
    /// Whether this process begins anything.
    pub lifecycle: Arc<Lifecycle>,
    /// Limits how many sagas with expressions are checked or planned at once.
    pub evaluations: Evaluations,
    /// Limits how many sagas and operations are tried at once before the first steps of sagas.
    pub trial_gates: TrialGates,
    /// The metrics.
    pub metrics: Arc<Metrics>,
}

impl Context {
    /// Returns what observations rest on.
    pub(super) fn sources(&self) -> Sources<'_> {
        Sources {
            cluster: &self.cluster,
            memory: self.memory.view(),
            executors: self.outbound.executors(),
            lifecycle: &self.lifecycle,
            evaluations: &self.evaluations,
        }
    }

    /// Returns what a precheck needs.
    pub(super) fn precheck_tools(&self) -> Tools<'_> {
        Tools {
            cluster: &self.cluster,
            secrets: self.outbound.caller.secrets(),
            evaluations: &self.evaluations,
            prechecks: &self.memory.prechecks,
            gate: &self.trial_gates.operations,
            metrics: &self.metrics,
        }
    }

    /// Returns what every write to the cluster needs.
    pub(super) fn parts(&self) -> Parts<'_> {
        Parts {
            cluster: &self.cluster,
            memory: &self.memory,
            queue: &self.queue,
            metrics: &self.metrics,
        }
    }

    /// Returns what the performance of effects needs. Without a valid saga only events are
    /// published. `planned`: what the wall clock and the monotonic clock showed when the plan was
    /// made.
    pub(super) fn performance<'a>(
        &'a self,
        stored: &'a StoredSaga,
        planned: (Timestamp, Instant),
    ) -> Performance<'a> {
        Performance {
            parts: self.parts(),
            outbound: &self.outbound,
            stored,
            saga: None,
            executor: "",
            planned,
            slots: Mutex::default(),
        }
    }

    /// Returns what the events of watches are reported to.
    pub(super) fn listeners(&self) -> Listeners {
        Listeners {
            memory: Arc::clone(&self.memory),
            queue: self.queue.clone(),
            watch_health: Arc::clone(&self.cluster.watch_health),
            metrics: Arc::clone(&self.metrics),
        }
    }

    /// Returns what a change of the leadership changes.
    pub(super) fn process(&self) -> Process {
        Process {
            lifecycle: Arc::clone(&self.lifecycle),
            memory: Arc::clone(&self.memory),
            queue: self.queue.clone(),
            metrics: Arc::clone(&self.metrics),
        }
    }
}

/// The fixture that the tests of this folder share.
#[cfg(test)]
pub(super) mod fixture {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
    use http::Response;
    use kube::{Api, Client, client::Body};
    use serde_json::{Value, json};
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        api::{Direction, StoredSaga, names::AttemptId},
        controller::{
            cache::Caches,
            clock::now,
            cluster::secrets::SecretReader,
            http::{call::HttpCaller, tls::tls_config},
            lifecycle::Role,
            limits::breakers::Circuits,
            memory::attempt::AttemptKey,
            queue::SagaRef,
        },
        coordination::breaker::Settings,
        egress::policy::{EgressPolicy, EgressRules},
        model::saga::{SagaName, ValidSaga},
        service::args::CallLimits,
        validate::saga::validate_stored,
    };

    /// Creates a context over this API server. Also returns the receiver of the enqueued sagas.
    pub fn context(
        client: Client,
        circuits: Option<Settings>,
    ) -> (Arc<Context>, mpsc::UnboundedReceiver<SagaRef>) {
        let caller = HttpCaller::new(
            EgressPolicy::new(EgressRules::default(), []),
            tls_config().unwrap(),
            SecretReader::new(client.clone()),
        );
        let metrics = Metrics::new("1.2.3");
        let circuits = Circuits::new(circuits, Arc::clone(&metrics));
        let (queue, enqueued) = Queue::new(Vec::new());
        let leases = Api::namespaced(client.clone(), "default");
        let context = Context {
            cluster: Arc::new(Cluster::new(client, Caches::default())),
            memory: Arc::default(),
            outbound: Arc::new(Outbound::new(
                caller,
                CallLimits::default(),
                circuits,
                leases,
                queue.clone(),
            )),
            queue,
            lifecycle: Arc::default(),
            evaluations: Evaluations::default(),
            trial_gates: TrialGates::default(),
            metrics,
        };
        (Arc::new(context), enqueued)
    }

    /// Returns the caches of a context that nobody else holds, to be filled.
    pub fn caches(context: &mut Arc<Context>) -> &mut Caches {
        let context = Arc::get_mut(context).unwrap();
        &mut Arc::get_mut(&mut context.cluster).unwrap().caches
    }

    /// Sets the part of this process in the election.
    pub fn turn(context: &Context, role: Role) {
        context.lifecycle.turn(role, &context.memory.attempts, &context.metrics);
    }

    /// Returns managed fields that are nested more deeply than the parser allows.
    pub fn deep_managed_fields() -> Value {
        let fields = (0..130).fold(json!({}), |inner, _| json!({"f:a": inner}));
        json!([{
            "manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }])
    }

    /// Returns an answer of an API server.
    pub fn answer(code: u16, body: &Value) -> Response<Body> {
        Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap()
    }

    /// Returns a saga whose only step has this name and does this, and the key of the first attempt
    /// of its action.
    pub fn one_step(name: &str, mut step: Value) -> (ValidSaga, AttemptKey) {
        step["name"] = json!(name);
        let named = SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() };
        let spec = serde_json::from_value(json!({"steps": [step]})).map_err(|_| String::new());
        let saga = validate_stored(&named, &spec).unwrap();
        let attempt = AttemptId { step: name.into(), direction: Direction::Action, number: 1 };
        (saga, AttemptKey::new("1", attempt))
    }

    /// Returns what the performance of effects of this saga needs, planned just now.
    pub fn performance<'a>(
        context: &'a Context,
        stored: &'a StoredSaga,
        saga: &'a ValidSaga,
        executor: &'a str,
    ) -> Performance<'a> {
        let planned = (now(), Instant::now());
        Performance { saga: Some(saga), executor, ..context.performance(stored, planned) }
    }
}
