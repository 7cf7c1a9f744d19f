//! What every test stands on: a namespace, an operator that works in it alone, a shop that listens,
//! and verbs to tell a story with.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use k8s_openapi::{
    api::core::v1::{Namespace, Pod, ServiceAccount},
    api::events::v1::Event,
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
    runtime::wait::await_condition,
};
use saga_operator::api::{
    Direction, HANDLED, Outcome, RequestRecord, Saga, SagaPhase, StepPhase, StepStatus,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    gate::Gate,
    shop::{Entry, Shop, serve},
};

/// How long any one thing may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// One test's place: its namespace, its shop, and the operator that it starts.
pub struct Stand {
    pub client: Client,
    pub namespace: String,
    pub shop: Shop,
    pub shop_address: SocketAddr,
    /// A second way to the shop, which keeps back the answers until it is opened.
    pub gate: Gate,
    /// How operators that are started from now on reach the API server, and as whom.
    pub operator_kubeconfig: PathBuf,
    operator: Option<Child>,
    second: Option<Child>,
}

impl Stand {
    /// A fresh namespace with a shop that only the operator reaches.
    pub async fn new(name: &str) -> Self {
        Self::at(name, IpAddr::from([127, 0, 0, 1])).await
    }

    /// A fresh namespace with a shop that Pods reach, too.
    pub async fn with_pods(name: &str) -> Self {
        let address = setting("SAGA_TEST_HOST_ADDRESS").parse().unwrap();
        Self::at(name, address).await
    }

    async fn at(name: &str, address: IpAddr) -> Self {
        // Several crates bring a provider: the first test to come chooses.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = client(&setting("SAGA_TEST_KUBECONFIG")).await;
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let (shop, shop_address) = (Shop::default(), listener.local_addr().unwrap());
        tokio::spawn(serve(listener, shop.clone()));
        let gate = Gate::before(shop_address).await;
        let namespace = create_namespace(&client, name).await;
        let operator_kubeconfig = setting("SAGA_TEST_OPERATOR_KUBECONFIG").into();
        Self {
            client,
            namespace,
            shop,
            shop_address,
            gate,
            operator_kubeconfig,
            operator: None,
            second: None,
        }
    }

    /// Starts the operator, limited to this namespace, with the rights that the chart gives it.
    pub fn start(&mut self) {
        self.start_with_log_level("info");
    }

    /// The same, with a log that says more.
    pub fn start_with_log_level(&mut self, level: &str) {
        assert!(self.operator.is_none(), "it runs already");
        self.operator = Some(self.spawn(level, &self.log(), [None; 2]));
    }

    /// Starts an operator that logs all there is, and tells at these addresses, for scrapers and
    /// for probes, how it fares.
    pub fn start_telling_all(&mut self) -> [SocketAddr; 2] {
        assert!(self.operator.is_none(), "it runs already");
        let addresses = [free_address(), free_address()];
        self.operator = Some(self.spawn("trace", &self.log(), addresses.map(Some)));
        addresses
    }

    /// Starts the operator, which waits for its requests for so long when it is asked to stop.
    pub fn start_draining(&mut self, drain: &str) {
        assert!(self.operator.is_none(), "it runs already");
        let mut command = self.command("info", &self.log(), [None; 2]);
        self.operator = Some(command.args(["--drain", drain]).spawn().unwrap());
    }

    /// Starts another operator beside the first one.
    pub fn start_second(&mut self) {
        assert!(self.second.is_none(), "it runs already");
        self.second = Some(self.spawn("info", &self.second_log(), [None; 2]));
    }

    /// Starts an operator of a later version beside the first one: `src/api/next.rs` says what it
    /// does otherwise. Returns where it tells its metrics.
    pub fn start_next(&mut self) -> SocketAddr {
        assert!(self.second.is_none(), "it runs already");
        let address = free_address();
        let mut command =
            self.command_of(&next_operator(), "info", &self.second_log(), [Some(address), None]);
        self.second = Some(command.spawn().expect(NEXT_IS_BUILT));
        address
    }

    /// Starts the operator, telling its metrics at an address.
    pub fn start_measured(&mut self) -> SocketAddr {
        assert!(self.operator.is_none(), "it runs already");
        let address = free_address();
        self.operator = Some(self.spawn("info", &self.log(), [Some(address), None]));
        address
    }

    /// Asks the second operator to stop, and waits until it has.
    pub async fn stop_second(&mut self) {
        let second = self.second.take().expect("the second operator runs");
        stop(second).await;
    }

    /// Asks the operator to stop, and waits until it has.
    pub async fn stop(&mut self) {
        let operator = self.operator.take().expect("the operator runs");
        stop(operator).await;
    }

    /// Starts an operator that works only while it leads, as the first or the second one. It tells
    /// its metrics at this address. Asked to stop, it waits for its requests for longer than any
    /// test does.
    pub fn start_electing(&mut self, second: bool) -> SocketAddr {
        let address = free_address();
        let log = if second { self.second_log() } else { self.log() };
        let mut command = self.command("info", &log, [Some(address), None]);
        let place = if second { &mut self.second } else { &mut self.operator };
        assert!(place.is_none(), "it runs already");
        *place = Some(command.args(["--leader-elect", "--drain", "5m"]).spawn().unwrap());
        address
    }

    /// The log of the second operator.
    pub fn second_log(&self) -> PathBuf {
        self.log().with_extension("second.log")
    }

    fn spawn(&self, level: &str, log: &Path, servers: [Option<SocketAddr>; 2]) -> Child {
        self.command(level, log, servers).spawn().unwrap()
    }

    fn command(&self, level: &str, log: &Path, servers: [Option<SocketAddr>; 2]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_saga-operator")), level, log, servers)
    }

    fn command_of(
        &self,
        program: &Path,
        level: &str,
        log: &Path,
        servers: [Option<SocketAddr>; 2],
    ) -> Command {
        let [metrics, health] = servers
            .map(|address| address.map_or_else(|| "0".to_owned(), |address| address.to_string()));
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let mut operator = Command::new(program);
        operator
            .args([
                "run",
                "--watch-namespaces",
                &self.namespace,
                "--http-allow-cidrs",
                "127.0.0.0/8",
            ])
            .args([
                "--metrics-addr",
                &metrics,
                "--health-addr",
                &health,
                "--log-format",
                "json",
                "--log-level",
                level,
            ])
            .env("KUBECONFIG", &self.operator_kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file);
        operator
    }

    /// The operator's log of this test.
    pub fn log(&self) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.log", self.namespace))
    }

    /// Kills the operator: SIGKILL.
    pub fn kill(&mut self) {
        let mut operator = self.operator.take().expect("the operator runs");
        operator.kill().unwrap();
        operator.wait().unwrap();
    }

    /// Asks the operator to stop: SIGTERM.
    pub fn ask_to_stop(&self) {
        self.signal("-TERM");
    }

    /// Freezes the operator, as if its machine stood still: SIGSTOP.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets a frozen operator go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let operator = self.operator.as_ref().expect("the operator runs");
        assert!(
            Command::new("kill")
                .args([signal, &operator.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits until the operator, asked to stop, has; returns its exit code.
    pub async fn stopped(&mut self) -> Option<i32> {
        let mut operator = self.operator.take().expect("the operator runs");
        let ended = tokio::task::spawn_blocking(move || operator.wait().unwrap().code());
        timeout(PATIENCE, ended).await.expect("it stops in time").unwrap()
    }

    /// Waits until the operator's log holds a text.
    pub async fn logs(&self, text: &str) {
        logs(&self.log(), text).await;
    }

    /// Waits until the second operator's log holds a text.
    pub async fn second_logs(&self, text: &str) {
        logs(&self.second_log(), text).await;
    }

    /// Whether the operator is alive.
    pub fn lives(&mut self) -> bool {
        lives(&mut self.operator)
    }

    /// Whether the second operator is alive.
    pub fn second_lives(&mut self) -> bool {
        lives(&mut self.second)
    }

    pub fn sagas(&self) -> Api<Saga> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates a saga from the spec's JSON, with `SHOP` and `GATE` in it standing for the two ways
    /// to the shop.
    pub async fn apply(&self, name: &str, spec: &Value) -> Saga {
        self.try_apply(name, spec).await.unwrap()
    }

    /// The same; what the API server says where it refuses.
    pub async fn try_apply(&self, name: &str, spec: &Value) -> Result<Saga, kube::Error> {
        let text = spec.to_string().replace("SHOP", &format!("http://{}", self.shop_address));
        let text = text.replace("GATE", &format!("http://{}", self.gate.address));
        // As it is written: our own types would not let a malformed spec through.
        let saga = json!({
            "apiVersion": "saga.dev/v1alpha1", "kind": "Saga",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": serde_json::from_str::<Value>(&text).unwrap(),
        });
        self.api_of(&saga)
            .create(&PostParams::default(), &serde_json::from_value(saga).unwrap())
            .await?;
        self.sagas().get(name).await
    }

    /// Applies an object of any kind in this namespace.
    pub async fn put(&self, object: &Value) -> DynamicObject {
        let name = object["metadata"]["name"].as_str().unwrap();
        let parameters = PatchParams::apply("tests").force();
        self.api_of(object).patch(name, &parameters, &Patch::Apply(object)).await.unwrap()
    }

    /// Waits until what was put is being deleted, or is gone.
    pub async fn until_gone_or_going(&self, object: &Value) {
        let going = |object: Option<&DynamicObject>| {
            object.is_none_or(|object| object.metadata.deletion_timestamp.is_some())
        };
        let name = object["metadata"]["name"].as_str().unwrap();
        timeout(PATIENCE, await_condition(self.api_of(object), name, going))
            .await
            .unwrap()
            .unwrap();
    }

    /// Deletes what was put.
    pub async fn take_back(&self, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        self.api_of(object).delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// The API of an object's kind.
    pub fn api_of(&self, object: &Value) -> Api<DynamicObject> {
        let (version, kind) =
            (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// Applies every document of a file of `examples/`, with the shop's real address.
    pub async fn apply_example(&self, file: &str) -> Vec<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(file);
        let text = std::fs::read_to_string(path)
            .unwrap()
            .replace("shop.example:8090", &self.shop_address.to_string());
        let text = text.replace("saga-examples", &self.namespace);
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let mut names = Vec::new();
        for document in documents {
            names.push(self.put(&document).await.name_any());
        }
        names
    }

    /// Waits until the saga satisfies a condition; fails with its status and the operator's log
    /// where it does not in time.
    pub async fn until(
        &self,
        name: &str,
        what: &str,
        condition: impl Fn(&Saga) -> bool + Send + Sync,
    ) -> Saga {
        let holds = |saga: Option<&Saga>| saga.is_some_and(&condition);
        if let Ok(saga) = timeout(PATIENCE, await_condition(self.sagas(), name, holds)).await {
            return saga.unwrap().unwrap();
        }
        let saga = self.sagas().get_opt(name).await.unwrap();
        let status = saga.and_then(|saga| saga.status);
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let tail: Vec<_> = log.lines().rev().take(20).collect();
        panic!(
            "{name} is not {what}: {}\n{}",
            serde_json::to_string_pretty(&status).unwrap(),
            tail.join("\n")
        );
    }

    /// Waits until the saga is in a phase.
    pub async fn reaches(&self, name: &str, phase: SagaPhase) -> Saga {
        self.until(name, phase.as_str(), |saga| {
            saga.status.as_ref().and_then(|status| status.phase) == Some(phase)
        })
        .await
    }

    /// Changes a saga by a merge patch.
    pub async fn patch(&self, name: &str, patch: &Value) -> Result<Saga, kube::Error> {
        self.sagas().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
    }

    /// Changes a saga's status by a merge patch, as somebody might by hand.
    pub async fn patch_status(&self, name: &str, status: &Value) -> Result<Saga, kube::Error> {
        self.sagas()
            .patch_status(name, &PatchParams::default(), &Patch::Merge(json!({"status": status})))
            .await
    }

    pub async fn delete(&self, name: &str) {
        self.sagas().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until the saga is gone.
    pub async fn gone(&self, name: &str) {
        let gone = timeout(
            PATIENCE,
            await_condition(self.sagas(), name, |saga: Option<&Saga>| saga.is_none()),
        )
        .await;
        assert!(gone.is_ok(), "{name} is still there: {:?}", self.sagas().get_opt(name).await);
    }

    /// Waits until a step is in a phase.
    pub async fn step_reaches(&self, saga: &str, name: &str, phase: StepPhase) -> Saga {
        let what = format!("{} at step {name}", phase.as_str());
        self.until(saga, &what, |saga| step_of(saga, name).is_some_and(|step| step.phase == phase))
            .await
    }

    /// Waits until the shop's ledger is as wanted.
    pub async fn shop_sees(&self, what: &str, wanted: impl Fn(&[Entry]) -> bool) {
        let seen = timeout(PATIENCE, self.shop.until(wanted)).await;
        assert!(seen.is_ok(), "the shop does not see {what}: {:#?}", self.shop.entries(None));
    }

    /// Waits until the shop did what a saga's step asked for; its answer may be kept back.
    pub async fn shop_has_done(&self, saga: &Saga, step: &str) {
        let scope = scope(saga);
        let done = |entry: &Entry| {
            entry.scope == scope && entry.step == step && entry.kind == crate::shop::Kind::Done
        };
        self.shop_sees(&format!("{step} done"), |entries| entries.iter().any(done)).await;
    }

    /// Carries another saga through: so much the operator did meanwhile, and all the time it would
    /// have taken to do wrong.
    pub async fn meanwhile(&self, name: &str) {
        let steps: Vec<_> = ["one", "two", "three"]
            .map(|step| json!({"name": step, "http": post("/mail/messages")}))
            .into();
        self.apply(name, &json!({"steps": steps})).await;
        self.reaches(name, SagaPhase::Completed).await;
    }

    /// Waits for an event about a saga, which may be gone.
    pub async fn event(&self, saga: &str, reason: &str) -> Event {
        let found = async {
            loop {
                let events = self.events(saga).await;
                if let Some(event) =
                    events.into_iter().find(|event| event.reason.as_deref() == Some(reason))
                {
                    return event;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no event {reason} about {saga}"))
    }

    /// All events about a saga.
    pub async fn events(&self, saga: &str) -> Vec<Event> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let parameters =
            ListParams::default().fields(&format!("regarding.kind=Saga,regarding.name={saga}"));
        events.list(&parameters).await.unwrap().items
    }

    /// Deletes a saga and waits until it is gone.
    pub async fn remove(&self, name: &str) {
        self.delete(name).await;
        self.gone(name).await;
    }

    /// Asks a saga for something, as a person does: `saga.dev/approve=release`.
    pub fn ask(&self, saga: &str, request: &str) {
        self.kubectl(&["annotate", &format!("saga/{saga}"), request]);
    }

    /// Waits until a saga's request of this number is answered and its annotation is taken away;
    /// returns the answer.
    pub async fn answer(&self, saga: &str, number: i64) -> RequestRecord {
        let handled = |saga: &Saga| {
            saga.annotations().get(HANDLED).is_some_and(|handled| *handled == number.to_string())
        };
        let saga = self.until(saga, &format!("at the answer to request {number}"), handled).await;
        records(&saga).iter().find(|record| record.number == number).unwrap().clone()
    }

    /// Waits until a saga has no finalizer any more: nothing of it is left to be done.
    pub async fn is_let_go(&self, saga: &str) -> Saga {
        self.until(saga, "let go", |saga| {
            saga.metadata.finalizers.as_ref().is_none_or(Vec::is_empty)
        })
        .await
    }

    /// kubectl as the administrator, in this namespace.
    pub fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut kubectl = Command::new("kubectl");
        kubectl
            .args([
                "--kubeconfig",
                &setting("SAGA_TEST_KUBECONFIG"),
                "--namespace",
                &self.namespace,
            ])
            .args(arguments);
        kubectl
    }

    /// What kubectl prints.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.kubectl_command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits until so many Pods of a saga have ended.
    pub async fn pods_end(&self, saga: &str, count: usize) {
        let ended = async {
            loop {
                let phases =
                    self.pods_of(saga).await.into_iter().filter_map(|pod| pod.status?.phase);
                if phases.filter(|phase| phase == "Succeeded" || phase == "Failed").count() >= count
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, ended)
            .await
            .unwrap_or_else(|_| panic!("{count} Pods of {saga} do not end"));
    }

    /// The Pods of a saga, by name.
    pub async fn pods_of(&self, saga: &str) -> Vec<Pod> {
        let parameters = ListParams::default().labels(&format!("saga.dev/saga={saga}"));
        self.pods().list(&parameters).await.unwrap().items
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        for operator in [&mut self.operator, &mut self.second].into_iter().flatten() {
            // A test that failed leaves nothing running.
            let _ = operator.kill();
            let _ = operator.wait();
        }
        // Best effort: a saga keeps its finalizer where no operator is left to undo it.
        let (sagas, namespaces) = (self.sagas(), Api::<Namespace>::all(self.client.clone()));
        let sweep = async {
            for saga in sagas.list(&ListParams::default()).await.into_iter().flatten() {
                let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
                let _ = sagas.patch(&saga.name_any(), &PatchParams::default(), &patch).await;
            }
            let _ = namespaces.delete(&self.namespace, &DeleteParams::default()).await;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            tokio::task::block_in_place(|| runtime.block_on(sweep));
        }
    }
}

/// What to do where there is no operator of a later version.
pub const NEXT_IS_BUILT: &str =
    "the later version is built: cargo build --locked --features next --example next-operator";

/// The operator of a later version: beside the operator's own binary, where Cargo puts examples.
pub fn next_operator() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_saga-operator")).with_file_name("examples").join("next-operator")
}

async fn stop(mut operator: Child) {
    assert!(
        Command::new("kill")
            .args(["-TERM", &operator.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let ended = tokio::task::spawn_blocking(move || operator.wait().unwrap());
    timeout(PATIENCE, ended).await.expect("it stops in time").unwrap();
}

fn lives(operator: &mut Option<Child>) -> bool {
    operator.as_mut().is_some_and(|operator| operator.try_wait().unwrap().is_none())
}

async fn logs(log: &Path, text: &str) {
    let logged = async {
        while !std::fs::read_to_string(log).unwrap().contains(text) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, logged)
        .await
        .unwrap_or_else(|_| panic!("{} does not hold {text:?}", log.display()));
}

/// An address on which nobody listens.
fn free_address() -> SocketAddr {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .unwrap()
}

/// What a server of the operator answers.
pub async fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(
            format!("GET {path} HTTP/1.1\r\nhost: operator\r\nconnection: close\r\n\r\n")
                .as_bytes(),
        )
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    answer
}

/// The step's status.
pub fn step<'a>(saga: &'a Saga, name: &str) -> &'a StepStatus {
    step_of(saga, name).unwrap()
}

fn step_of<'a>(saga: &'a Saga, name: &str) -> Option<&'a StepStatus> {
    saga.status.as_ref()?.steps.iter().find(|step| step.name == name)
}

/// Whether the status names the Pod or the object of the step's action by its UID.
pub fn names_its_child(saga: &Saga, name: &str) -> bool {
    let active = step_of(saga, name).and_then(|step| step.action.as_ref()?.active.as_ref());
    active.is_some_and(|active| active.child_uid.is_some())
}

/// How the attempts of a step's action ended, oldest first.
pub fn outcomes(saga: &Saga, name: &str) -> Vec<Outcome> {
    let record = step(saga, name).direction(Direction::Action);
    record.into_iter().flat_map(|record| &record.attempts).map(|attempt| attempt.outcome).collect()
}

/// What people asked a saga for, and what came of it.
pub fn records(saga: &Saga) -> &[RequestRecord] {
    saga.status.as_ref().map(|status| status.requests.as_slice()).unwrap_or_default()
}

/// The steps that an ended saga says are still in effect.
pub fn still_in_effect(saga: &Saga) -> Vec<&str> {
    let still = saga.status.as_ref().and_then(|status| status.still_in_effect.as_deref());
    still
        .unwrap_or_else(|| panic!("{:?} says nothing of what is in effect", saga.status))
        .iter()
        .map(String::as_str)
        .collect()
}

/// The saga's message.
pub fn message(saga: &Saga) -> &str {
    saga.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or_default()
}

/// A condition as `status/reason`; empty where the saga does not have it.
pub fn condition(saga: &Saga, kind: &str) -> String {
    let found = saga
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .find(|condition| condition.type_ == kind);
    found.map(|condition| format!("{}/{}", condition.status, condition.reason)).unwrap_or_default()
}

/// A request to the shop.
pub fn post(path: &str) -> Value {
    json!({"method": "POST", "url": format!("SHOP{path}"), "body": {"order": "7"}})
}

/// The same by the way whose answers are kept back until the gate is opened.
pub fn post_by_gate(path: &str) -> Value {
    json!({"method": "POST", "url": format!("GATE{path}"), "body": {"order": "7"}})
}

/// A checkout: three requests, one after the other, each of which can be undone; quick to try
/// again.
pub fn checkout() -> Value {
    let backoff = json!({"initialDelay": "50ms", "maxDelay": "200ms"});
    json!({
        "defaults": {
            "retry": {"maxAttempts": 5, "backoff": backoff},
            "compensationRetry": {"backoff": backoff},
        },
        "steps": [
            {
                "name": "reserve-stock", "http": post("/stock/reservations"),
                "compensation": {"http": post("/stock/releases")},
            },
            {
                "name": "charge-card", "dependsOn": ["reserve-stock"],
                "http": post("/payments/charges"),
                "compensation": {"http": post("/payments/refunds")},
            },
            {"name": "ship", "dependsOn": ["charge-card"], "http": post("/shipping/shipments"),
             "compensation": {"http": post("/shipping/cancellations")}},
        ],
    })
}

/// The checkout with more in its spec.
pub fn checkout_with(more: &Value) -> Value {
    let mut spec = checkout();
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// The scope of a saga's idempotency keys.
pub fn scope(saga: &Saga) -> String {
    saga.spec.idempotency_prefix.clone().unwrap_or_else(|| saga.uid().unwrap())
}

/// A setting that `make test` makes.
pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: run these tests by `make test`, which starts the cluster they need"
        )
    })
}

async fn client(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

async fn create_namespace(client: &Client, name: &str) -> String {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace: Namespace =
        serde_json::from_value(json!({"metadata": {"generateName": format!("{name}-")}})).unwrap();
    let namespace = namespaces.create(&PostParams::default(), &namespace).await.unwrap().name_any();
    // The API server refuses Pods until the controller manager has made the account.
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
    timeout(
        PATIENCE,
        await_condition(accounts, "default", |account: Option<&ServiceAccount>| account.is_some()),
    )
    .await
    .unwrap()
    .unwrap();
    namespace
}
