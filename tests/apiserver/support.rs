//! What every test against a cluster needs: a client, the installed definition, its own namespace,
//! and calls to the API server as `kubectl` sends them.

use std::{env, fmt, future::Future, path::Path, time::Duration};

use k8s_openapi::{
    api::core::v1::Namespace,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Config, Error, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::wait::{await_condition, conditions::is_crd_established},
};
use serde_json::Value;
use tokio::{runtime::Handle, sync::OnceCell, task::block_in_place, time};

/// The variable that names the kubeconfig of the cluster under test.
pub const KUBECONFIG: &str = "SAGA_TEST_KUBECONFIG";
/// The name of the definition.
pub const CRD: &str = "sagas.saga.dev";
/// The time limit for what a cluster does within a second when nothing else runs.
const PATIENCE: Duration = Duration::from_mins(3);

/// Returns a client of the cluster under test.
///
/// # Panics
/// If no cluster is named: a test that skips itself would pass without having tested anything.
pub async fn client() -> Client {
    Client::try_from(config().await).unwrap()
}

async fn config() -> Config {
    let Ok(path) = env::var(KUBECONFIG) else {
        panic!(
            "these tests need a cluster: run `make cluster` once and then `make test`, or set \
             {KUBECONFIG} to a kubeconfig of yours"
        );
    };
    let kubeconfig =
        Kubeconfig::read_from(&path).unwrap_or_else(|error| panic!("{KUBECONFIG}={path}: {error}"));
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
}

/// Returns a client of the cluster under test that impersonates a user.
pub async fn client_as(user: &str) -> Client {
    let mut config = config().await;
    config.auth_info.impersonate = Some(user.to_owned());
    Client::try_from(config).unwrap()
}

/// Returns a client of the cluster under test. The cluster serves the definition of this working
/// tree.
pub async fn cluster() -> Client {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let client = client().await;
    INSTALLED.get_or_init(|| install(client.clone())).await;
    client
}

/// Returns the definition from the file that users apply.
pub fn definition() -> Value {
    read_yaml(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crds/sagas.yaml"))
}

/// Returns one YAML file as JSON.
pub fn read_yaml(path: &Path) -> Value {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Applies the definition, and waits until the API server serves this definition and not an older
/// one.
async fn install(client: Client) {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let apply = PatchParams::apply("saga-operator-tests").force();
    crds.patch(CRD, &apply, &Patch::Apply(definition()))
        .await
        .unwrap_or_else(|error| panic!("the definition is refused: {}", words(&error)));
    time::timeout(PATIENCE, await_condition(crds, CRD, is_crd_established()))
        .await
        .unwrap()
        .unwrap();
    let applied = &definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    eventually("the API server publishes the definition", || async {
        let published = request(&client, "GET", "/openapi/v3/apis/saga.dev/v1alpha1", "", None)
            .await
            .unwrap_or_default();
        let mut published =
            published["components"]["schemas"]["dev.saga.v1alpha1.Saga"]["properties"].clone();
        without_any_of(&mut published);
        (same(&published["spec"], &applied["spec"])
            && same(&published["status"], &applied["status"]))
        .then_some(())
    })
    .await;
}

/// Returns the API server's own message if it answered: the text of kube repeats the message many
/// times.
fn words(error: &Error) -> String {
    if let Error::Api(status) = error { status.message.clone() } else { error.to_string() }
}

/// Removes the `anyOf` that the API server adds to the schema of an integer or text when it
/// publishes the schema.
fn without_any_of(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("anyOf");
            fields.values_mut().for_each(without_any_of);
        }
        Value::Array(items) => items.iter_mut().for_each(without_any_of),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Returns whether two values are equal. `1` equals `1.0`.
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        (one, other) => one == other,
    }
}

/// Asks repeatedly until there is an answer.
///
/// # Panics
/// If there is no answer within [`PATIENCE`].
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let answered = time::timeout(PATIENCE, async {
        let mut tick = time::interval(Duration::from_millis(50));
        loop {
            tick.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    });
    answered.await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// The namespace of one test. It is deleted when the test ends or panics. Nothing waits for the end
/// of the deletion.
pub struct FreshNamespace {
    /// The name: the prefix and a suffix that the API server generated.
    pub name: String,
    /// A client of the cluster that contains the namespace.
    pub client: Client,
}

/// Creates a namespace in a cluster that serves the definition.
pub async fn fresh_namespace(prefix: &str) -> FreshNamespace {
    let client = cluster().await;
    let wanted = Namespace {
        metadata: ObjectMeta { generate_name: Some(format!("{prefix}-")), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    let namespace = Api::all(client.clone()).create(&PostParams::default(), &wanted).await.unwrap();
    FreshNamespace { name: namespace.name_any(), client }
}

impl Drop for FreshNamespace {
    fn drop(&mut self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let gone = async {
            time::timeout(PATIENCE, namespaces.delete(&self.name, &DeleteParams::background()))
                .await
        };
        if Handle::try_current().is_ok() {
            // Best effort: what is left over in a test cluster is harmless, and the test already
            // has its result.
            drop(block_in_place(|| Handle::current().block_on(gone)));
        }
    }
}

/// Whether the API server stores the result of a call.
#[derive(Clone, Copy)]
pub enum Effect {
    /// The API server checks everything and stores nothing.
    DryRun,
    /// The API server stores the result.
    Real,
}

/// The answer of the API server: the object, or the refusal.
pub type Answer = Result<Value, Refusal>;

/// The reason why the API server refused a call.
#[derive(Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// All that is wrong, as `kubectl` shows it.
    pub message: String,
    /// One sentence for each thing that is wrong, if the API server lists them separately.
    pub causes: Vec<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl FreshNamespace {
    /// Creates a saga. Unknown fields are refused, as `kubectl` does it.
    pub async fn create(&self, saga: &Value, effect: Effect) -> Answer {
        request(&self.client, "POST", &self.path("", effect), "application/json", Some(saga)).await
    }

    /// Changes a saga by a JSON Patch.
    pub async fn patch(&self, saga: &str, changes: &Value, effect: Effect) -> Answer {
        self.patch_path(&format!("/{saga}"), changes, effect).await
    }

    /// Changes a saga's status by a JSON Patch.
    pub async fn patch_status(&self, saga: &str, changes: &Value, effect: Effect) -> Answer {
        self.patch_path(&format!("/{saga}/status"), changes, effect).await
    }

    /// Returns a saga.
    pub async fn get(&self, saga: &str) -> Answer {
        request(&self.client, "GET", &self.path(&format!("/{saga}"), Effect::Real), "", None).await
    }

    /// Writes a saga's status as the operator does: the whole object, under the version that was
    /// read.
    pub async fn write_status(&self, saga: &str, status: &Value) -> Answer {
        let mut object = self.get(saga).await?;
        object["status"] = status.clone();
        let path = self.path(&format!("/{saga}/status"), Effect::Real);
        request(&self.client, "PUT", &path, "application/json", Some(&object)).await
    }

    async fn patch_path(&self, path: &str, changes: &Value, effect: Effect) -> Answer {
        request(
            &self.client,
            "PATCH",
            &self.path(path, effect),
            "application/json-patch+json",
            Some(changes),
        )
        .await
    }

    fn path(&self, rest: &str, effect: Effect) -> String {
        let dry_run = match effect {
            Effect::DryRun => "&dryRun=All",
            Effect::Real => "",
        };
        format!(
            "/apis/saga.dev/v1alpha1/namespaces/{}/sagas{rest}?fieldValidation=Strict{dry_run}",
            self.name
        )
    }
}

/// Sends one call to the API server.
///
/// # Panics
/// If there is no answer at all.
pub async fn request(
    client: &Client,
    method: &str,
    path: &str,
    content_type: &str,
    body: Option<&Value>,
) -> Answer {
    let body = body.map(Value::to_string).unwrap_or_default().into_bytes();
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("Content-Type", content_type)
        .body(body)
        .unwrap();
    match client.request(request).await {
        Ok(answer) => Ok(answer),
        Err(Error::Api(status)) => {
            let causes = status
                .details
                .iter()
                .flat_map(|details| &details.causes)
                .map(|cause| cause.message.clone())
                .collect();
            Err(Refusal { code: status.code, message: status.message.clone(), causes })
        }
        Err(error) => panic!("{method} {path}: {error}"),
    }
}
