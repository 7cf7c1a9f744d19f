//! What every test uses: a namespace, an operator that works in that namespace alone, a shop that
//! listens, and the functions for actions and checks.

mod operators;
mod specs;
mod told;
mod waits;

pub use self::{
    operators::{NEXT_IS_BUILT, ask, next_operator},
    specs::{checkout, checkout_with, post, post_by_gate},
    told::{condition, message, names_its_child, outcomes, records, scope, step, still_in_effect},
};

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command},
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
use saga_operator::api::Saga;
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::timeout};

use crate::{
    gate::Gate,
    shop::{Shop, serve},
};

/// The time limit for each single wait of a test.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// The environment of one test: its namespace, its shop, and the operators that it starts.
pub struct Stand {
    pub client: Client,
    pub namespace: String,
    pub shop: Shop,
    pub shop_address: SocketAddr,
    /// A second way to the shop. It keeps back the answers until it is opened.
    pub gate: Gate,
    /// The kubeconfig of operators that are started later: it selects the address of the API server
    /// and the account.
    pub operator_kubeconfig: PathBuf,
    operator: Option<Child>,
    second: Option<Child>,
}

impl Stand {
    /// Creates a namespace and a shop that only the operator can reach.
    pub async fn new(name: &str) -> Self {
        Self::at(name, IpAddr::from([127, 0, 0, 1])).await
    }

    /// Creates a namespace and a shop that Pods can reach too.
    pub async fn with_pods(name: &str) -> Self {
        let address = setting("SAGA_TEST_HOST_ADDRESS").parse().unwrap();
        Self::at(name, address).await
    }

    async fn at(name: &str, address: IpAddr) -> Self {
        // Several crates bring a provider. The first test chooses.
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

    pub fn sagas(&self) -> Api<Saga> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates a saga from the JSON of its spec. `SHOP` and `GATE` in the spec stand for the two
    /// addresses of the shop.
    pub async fn apply(&self, name: &str, spec: &Value) -> Saga {
        self.try_apply(name, spec).await.unwrap()
    }

    /// Creates a saga like [`Stand::apply`], and returns the error if the API server refuses it.
    pub async fn try_apply(&self, name: &str, spec: &Value) -> Result<Saga, kube::Error> {
        let text = spec.to_string().replace("SHOP", &format!("http://{}", self.shop_address));
        let text = text.replace("GATE", &format!("http://{}", self.gate.address));
        // The spec is sent as it is written: the Rust types would reject a malformed spec.
        let saga = json!({
            "apiVersion": "saga.dev/v1alpha1", "kind": "Saga",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": serde_json::from_str::<Value>(&text).unwrap(),
        });
        let created = self
            .api_of(&saga)
            .create(&PostParams::default(), &serde_json::from_value(saga).unwrap())
            .await?;
        // The answer is the first version. A later read may hold what the operator wrote.
        Ok(created.try_parse().unwrap())
    }

    /// Applies an object of any kind in this namespace.
    pub async fn put(&self, object: &Value) -> DynamicObject {
        let name = object["metadata"]["name"].as_str().unwrap();
        let parameters = PatchParams::apply("tests").force();
        self.api_of(object).patch(name, &parameters, &Patch::Apply(object)).await.unwrap()
    }

    /// Deletes an object that was put.
    pub async fn take_back(&self, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        self.api_of(object).delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Returns the API of an object's kind in this namespace.
    pub fn api_of(&self, object: &Value) -> Api<DynamicObject> {
        let (version, kind) =
            (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// Applies every document of a file of `examples/`, with the real address of the shop. Returns
    /// the names of the objects.
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

    /// Changes a saga by a merge patch.
    pub async fn patch(&self, name: &str, patch: &Value) -> Result<Saga, kube::Error> {
        self.sagas().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
    }

    /// Changes a saga's status by a merge patch, as a user might do by hand.
    pub async fn patch_status(&self, name: &str, status: &Value) -> Result<Saga, kube::Error> {
        self.sagas()
            .patch_status(name, &PatchParams::default(), &Patch::Merge(json!({"status": status})))
            .await
    }

    pub async fn delete(&self, name: &str) {
        self.sagas().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Makes a request of a saga by an annotation, as a user does: `saga.dev/approve=release`.
    pub fn ask(&self, saga: &str, request: &str) {
        self.kubectl(&["annotate", &format!("saga/{saga}"), request]);
    }

    /// Returns the kubectl command of the administrator, in this namespace.
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

    /// Runs kubectl and returns what it prints. Panics if kubectl fails.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.kubectl_command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        for operator in [&mut self.operator, &mut self.second].into_iter().flatten() {
            // A test that failed leaves no process running.
            let _ = operator.kill();
            let _ = operator.wait();
        }
        // Best effort: a saga keeps its finalizer if no operator is left to remove it.
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

/// Returns a setting that `make test` provides as an environment variable.
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
    // The API server refuses Pods until the controller manager has created the account.
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
