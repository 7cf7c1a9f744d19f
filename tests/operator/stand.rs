//! What every test stands on: a namespace, an operator that works in it alone, a shop that listens, and verbs to tell a story with.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
    runtime::wait::await_condition,
};
use saga_operator::api::{Saga, SagaPhase, StepStatus};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::timeout};

use crate::shop::{Shop, serve};

/// How long any one thing may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// One test's place: its namespace, its shop, and the operator that it starts.
pub struct Stand {
    pub client: Client,
    pub namespace: String,
    pub shop: Shop,
    pub shop_address: SocketAddr,
    operator: Option<Child>,
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
        let namespace = create_namespace(&client, name).await;
        Self { client, namespace, shop, shop_address, operator: None }
    }

    /// Starts the operator, limited to this namespace, with the rights that the chart gives it.
    pub fn start(&mut self) {
        assert!(self.operator.is_none(), "one operator at a time");
        let log = self.log();
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let operator = Command::new(env!("CARGO_BIN_EXE_saga-operator"))
            .args(["run", "--watch-namespaces", &self.namespace, "--http-allow-cidrs", "127.0.0.0/8"])
            .args(["--metrics-addr", "0", "--health-addr", "0", "--log-format", "json"])
            .env("KUBECONFIG", setting("SAGA_TEST_OPERATOR_KUBECONFIG"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn();
        self.operator = Some(operator.unwrap());
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

    /// Asks the operator to stop, SIGTERM, and waits until it has; returns whether it ended well.
    pub async fn stop(&mut self) -> bool {
        let mut operator = self.operator.take().expect("the operator runs");
        let asked = Command::new("kill").args(["-TERM", &operator.id().to_string()]).status().unwrap();
        assert!(asked.success());
        tokio::task::spawn_blocking(move || operator.wait().unwrap().success()).await.unwrap()
    }

    pub fn sagas(&self) -> Api<Saga> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates a saga from the spec's JSON, with `SHOP` in it standing for the shop's address.
    pub async fn apply(&self, name: &str, spec: &Value) -> Saga {
        let text = spec.to_string().replace("SHOP", &format!("http://{}", self.shop_address));
        let saga = json!({
            "apiVersion": "saga.dev/v1alpha1", "kind": "Saga",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": serde_json::from_str::<Value>(&text).unwrap(),
        });
        self.sagas().create(&PostParams::default(), &serde_json::from_value(saga).unwrap()).await.unwrap()
    }

    /// Applies every document of a file of `examples/`, with the shop's real address.
    pub async fn apply_example(&self, file: &str) -> Vec<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(file);
        let text = std::fs::read_to_string(path).unwrap().replace("shop.example:8090", &self.shop_address.to_string());
        let text = text.replace("saga-examples", &self.namespace);
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let mut names = Vec::new();
        for document in documents {
            let mut object: DynamicObject = serde_json::from_value(document).unwrap();
            object.metadata.namespace = Some(self.namespace.clone());
            let types = object.types.clone().unwrap();
            let (group, version) = types.api_version.split_once('/').unwrap_or(("", &types.api_version));
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &types.kind));
            let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
            names.push(object.name_any());
            api.patch(&object.name_any(), &PatchParams::apply("tests").force(), &Patch::Apply(&object)).await.unwrap();
        }
        names
    }

    /// Waits until the saga satisfies a condition; fails with its status and the operator's log where it does not in time.
    pub async fn until(&self, name: &str, what: &str, condition: impl Fn(&Saga) -> bool + Send + Sync) -> Saga {
        let holds = |saga: Option<&Saga>| saga.is_some_and(&condition);
        match timeout(PATIENCE, await_condition(self.sagas(), name, holds)).await {
            Ok(saga) => saga.unwrap().unwrap(),
            Err(_) => {
                let saga = self.sagas().get_opt(name).await.unwrap();
                let status = saga.and_then(|saga| saga.status);
                let log = std::fs::read_to_string(self.log()).unwrap_or_default();
                let tail: Vec<_> = log.lines().rev().take(20).collect();
                panic!("{name} is not {what}: {}\n{}", serde_json::to_string_pretty(&status).unwrap(), tail.join("\n"));
            }
        }
    }

    /// Waits until the saga is in a phase.
    pub async fn reaches(&self, name: &str, phase: SagaPhase) -> Saga {
        self.until(name, phase.as_str(), |saga| saga.status.as_ref().and_then(|status| status.phase) == Some(phase)).await
    }

    /// Changes a saga by a merge patch.
    pub async fn patch(&self, name: &str, patch: &Value) -> Result<Saga, kube::Error> {
        self.sagas().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
    }

    /// Changes a saga's status by a merge patch, as somebody might by hand.
    pub async fn patch_status(&self, name: &str, status: &Value) -> Result<Saga, kube::Error> {
        self.sagas().patch_status(name, &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await
    }

    pub async fn delete(&self, name: &str) {
        self.sagas().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until the saga is gone.
    pub async fn gone(&self, name: &str) {
        let gone = timeout(PATIENCE, await_condition(self.sagas(), name, |saga: Option<&Saga>| saga.is_none())).await;
        assert!(gone.is_ok(), "{name} is still there: {:?}", self.sagas().get_opt(name).await);
    }

    /// The Pods of a saga, by name.
    pub async fn pods_of(&self, saga: &str) -> Vec<Pod> {
        let parameters = ListParams::default().labels(&format!("saga.dev/saga={saga}"));
        self.pods().list(&parameters).await.unwrap().items
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        if let Some(operator) = &mut self.operator {
            // A test that failed leaves nothing running.
            let _ = operator.kill();
            let _ = operator.wait();
        }
        let (client, namespace) = (self.client.clone(), self.namespace.clone());
        // Best effort, and not waited for: the cluster goes with the test run.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { Api::<Namespace>::all(client).delete(&namespace, &DeleteParams::default()).await });
        }
    }
}

/// The step's status.
pub fn step<'a>(saga: &'a Saga, name: &str) -> &'a StepStatus {
    saga.status.as_ref().unwrap().steps.iter().find(|step| step.name == name).unwrap()
}

/// The scope of a saga's idempotency keys.
pub fn scope(saga: &Saga) -> String {
    saga.spec.idempotency_prefix.clone().unwrap_or_else(|| saga.uid().unwrap())
}

/// A setting that `make test` makes.
pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run these tests by `make test`, which starts the cluster they need"))
}

async fn client(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

async fn create_namespace(client: &Client, name: &str) -> String {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"generateName": format!("{name}-")}})).unwrap();
    let namespace = namespaces.create(&PostParams::default(), &namespace).await.unwrap().name_any();
    // The API server refuses Pods until the controller manager has made the account.
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
    timeout(PATIENCE, await_condition(accounts, "default", |account: Option<&ServiceAccount>| account.is_some())).await.unwrap().unwrap();
    namespace
}
