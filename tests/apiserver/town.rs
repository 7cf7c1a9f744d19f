//! A namespace in which the chart's policies are in force, and the users in it.
//!
//! Helm renders the policies of the chart with all of them switched on. The policies have names of
//! their own for each namespace and apply to that namespace alone. So the policies of one test do
//! not affect another test, whatever is installed in the cluster.

use std::{path::Path, process::Command, time::Duration};

use futures::future;
use kube::Client;
use serde_json::{Value, json};
use tokio::{runtime::Handle, task::block_in_place, time::timeout};

use crate::support::{
    Answer, Effect, FreshNamespace, client_as, eventually, fresh_namespace, request,
};

const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
/// The text between the name of a policy and the message for the user.
const DENIED: &str = " denied request: ";
/// The policy for which other policies wait.
const CREATOR: &str = "creator";
/// The policies that name what they are about: the operator's account, or namespaces. So they need
/// no selector of the namespace of a test.
const SELECT_BY_THEMSELVES: [&str; 2] = ["namespaces.", "saga-operator-own-account"];

/// Returns all policies of the chart.
pub fn rendered(release_namespace: &str, more: &str) -> Vec<Value> {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/saga-operator");
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("build/tools");
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
    let helm = Command::new("helm")
        .env("PATH", path)
        .args([
            "template",
            "saga-operator",
            &chart.to_string_lossy(),
            "--namespace",
            release_namespace,
        ])
        .args(["--set", "image.repository=registry.example.com/saga-operator"])
        .args(["--set", &format!("admission.fourEyes=true{more}")])
        .output()
        .unwrap_or_else(|error| panic!("helm: {error}; `make tools` builds it"));
    assert!(helm.status.success(), "{}", String::from_utf8_lossy(&helm.stderr));
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&String::from_utf8_lossy(&helm.stdout)).unwrap();
    documents
        .into_iter()
        .filter(|document| text(&document["kind"]).contains("AdmissionPolicy"))
        .collect()
}

/// A namespace with its own policies.
pub struct Town {
    /// The namespace, with the client of its administrator.
    pub namespace: FreshNamespace,
    /// The paths of the policies and bindings.
    installed: Vec<String>,
}

impl Town {
    /// Creates a namespace in which these policies are in force, named by the first part of their
    /// names, or by the part after the name of the release. The settings in `more` follow the
    /// settings that switch all policies on; `TOWN` stands for the namespace.
    pub async fn with(policies: &[&str], more: &str) -> Self {
        let namespace = fresh_namespace("town").await;
        let mut town = Self { namespace, installed: Vec::new() };
        // For the policy that keeps sagas out of the operator's namespace, this namespace is the
        // operator's.
        for document in rendered(town.name(), &more.replace("TOWN", town.name())) {
            let (kind, name) =
                (text(&document["kind"]).to_lowercase(), text(&document["metadata"]["name"]));
            let is_wanted = |policy: &&str| {
                name.starts_with(&format!("{policy}.")) || name == format!("saga-operator-{policy}")
            };
            if policies.iter().any(is_wanted) {
                let plural = if kind.ends_with("binding") {
                    format!("{kind}s")
                } else {
                    kind.replace("policy", "policies")
                };
                town.install(&plural, &name, document).await;
            }
        }
        if policies.contains(&CREATOR) {
            town.stamps().await;
        }
        town
    }

    /// Waits until the API server stamps the creator of a saga. The API server learns of the
    /// policies one by one. If it first learns of the policies that check the stamp, it refuses
    /// every new saga with their messages.
    async fn stamps(&self) {
        let saga = json!({
            "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "metadata": {"name": "stamped"},
            "spec": {"steps": [{"name": "nap", "wait": {"for": "1s"}}]}
        });
        let stamped = eventually("the creator is stamped", || async {
            let created = self.namespace.create(&saga, Effect::DryRun).await.ok()?;
            created["metadata"]["annotations"]["saga.dev/created-by"].is_string().then_some(())
        });
        stamped.await;
    }

    async fn install(&mut self, plural: &str, name: &str, mut document: Value) {
        let selects = SELECT_BY_THEMSELVES.iter().any(|policy| name.starts_with(policy));
        let name = format!("{}.{name}", self.name());
        document["metadata"]["name"] = json!(name);
        if !document["spec"]["policyName"].is_null() {
            document["spec"]["policyName"] = json!(name);
        } else if !selects {
            let labels = json!({"matchLabels": {"kubernetes.io/metadata.name": self.name()}});
            document["spec"]["matchConstraints"]["namespaceSelector"] = labels;
        }
        self.post(&format!("{ADMISSION}/{plural}"), &document).await;
        self.installed.push(format!("{ADMISSION}/{plural}/{name}"));
    }

    pub fn name(&self) -> &str {
        &self.namespace.name
    }

    async fn post(&self, path: &str, object: &Value) -> Value {
        let made =
            request(&self.namespace.client, "POST", path, "application/json", Some(object)).await;
        made.unwrap_or_else(|refusal| panic!("{path}: {refusal}"))
    }

    /// Returns the policies and bindings as they are stored.
    pub async fn policies(&self) -> Vec<Value> {
        let paths = self.installed.iter().filter(|path| path.contains("policies/"));
        future::join_all(paths.map(|path| async {
            request(&self.namespace.client, "GET", path, "", None).await.unwrap()
        }))
        .await
    }

    /// Returns a user who has these verbs for sagas, and no other right.
    pub async fn person(&self, name: &str, verbs: &[&str]) -> Person {
        let person = self.stranger(&format!("{name}.{}", self.name())).await;
        self.give(&person.name, "saga.dev", "sagas", verbs).await;
        person
    }

    /// Creates a ServiceAccount that has these verbs for sagas.
    pub async fn account(&self, name: &str, verbs: &[&str]) -> Person {
        let path = format!("/api/v1/namespaces/{}/serviceaccounts", self.name());
        self.post(
            &path,
            &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}),
        )
        .await;
        let account = self.stranger(&format!("system:serviceaccount:{}:{name}", self.name())).await;
        self.give(&account.name, "saga.dev", "sagas", verbs).await;
        account
    }

    /// Returns a user of this name, without any rights yet.
    pub async fn stranger(&self, name: &str) -> Person {
        Person {
            client: client_as(name).await,
            name: name.to_owned(),
            namespace: self.name().to_owned(),
        }
    }

    /// Gives a user these verbs for a resource in the whole cluster, until the test ends.
    pub async fn give_everywhere(
        &mut self,
        person: &str,
        group: &str,
        resource: &str,
        verbs: &[&str],
    ) {
        let name = format!("{person}-{resource}").replace([':', '/'], ".");
        let reference =
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
        let user =
            json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person}]);
        let rules = json!([{"apiGroups": [group], "resources": [resource], "verbs": verbs}]);
        for (plural, kind, rest) in [
            ("clusterroles", "ClusterRole", json!({"rules": rules})),
            (
                "clusterrolebindings",
                "ClusterRoleBinding",
                json!({"roleRef": reference, "subjects": user}),
            ),
        ] {
            let mut object = json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
                "metadata": {"name": name},
            });
            object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            self.post(&format!("{RBAC}/{plural}"), &object).await;
            self.installed.push(format!("{RBAC}/{plural}/{name}"));
        }
    }

    /// Gives a user these verbs for a resource in this namespace.
    pub async fn give(&self, person: &str, group: &str, resource: &str, verbs: &[&str]) {
        let name = format!("{person}-{resource}").replace([':', '/'], ".");
        let reference =
            json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name});
        let user =
            json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person}]);
        let rules = json!([{"apiGroups": [group], "resources": [resource], "verbs": verbs}]);
        for (plural, kind, rest) in [
            ("roles", "Role", json!({"rules": rules})),
            ("rolebindings", "RoleBinding", json!({"roleRef": reference, "subjects": user})),
        ] {
            let mut object = json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
                "metadata": {"name": name},
            });
            object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            self.post(&format!("{RBAC}/namespaces/{}/{plural}", self.name()), &object).await;
        }
    }

    /// Creates a saga, as the administrator.
    pub async fn has(&self, saga: &Value) {
        let created = self.namespace.create(saga, Effect::Real).await;
        created.unwrap_or_else(|refusal| panic!("{refusal}"));
    }

    /// Returns the UID of a saga.
    pub async fn uid(&self, saga: &str) -> String {
        text(&self.namespace.get(saga).await.unwrap()["metadata"]["uid"])
    }

    /// Removes the finalizer, as the administrator. No operator runs here, so otherwise the
    /// namespace would never be removed.
    pub async fn lets_go_of(&self, saga: &str) {
        let bare = json!([{"op": "remove", "path": "/metadata/finalizers"}]);
        self.namespace.patch(saga, &bare, Effect::Real).await.unwrap();
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let client = self.namespace.client.clone();
        let gone = future::join_all(
            self.installed.iter().map(|path| request(&client, "DELETE", path, "", None)),
        );
        if Handle::try_current().is_ok() {
            // Best effort: the policies apply to this namespace alone.
            drop(block_in_place(|| {
                Handle::current().block_on(timeout(Duration::from_secs(10), gone))
            }));
        }
    }
}

/// A user who tries deeds. Usually nothing is stored: the API server checks each call in a dry run.
pub struct Person {
    pub client: Client,
    pub name: String,
    namespace: String,
}

/// What a user tries to do.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Create this saga.
    Create(Value),
    /// Apply this saga by server-side apply.
    Apply(Value),
    /// Change the saga of this name by a merge patch.
    Change(&'static str, Value),
    /// Delete the saga of this name.
    Delete(&'static str),
    /// Delete all sagas.
    DeleteAll,
    /// Call another path than those of the sagas here, with this method and this body or none.
    Call(&'static str, String, Value),
}

impl Person {
    /// Performs the deed, really or as a dry run.
    pub async fn act(&self, deed: &Deed, effect: Effect) -> Answer {
        let query = match effect {
            Effect::DryRun => "?fieldValidation=Strict&dryRun=All",
            Effect::Real => "?fieldValidation=Strict",
        };
        let path = |name: &str| {
            format!("/apis/saga.dev/v1alpha1/namespaces/{}/sagas{name}{query}", self.namespace)
        };
        let named = |name: &str| path(&format!("/{name}"));
        match deed {
            Deed::Create(saga) => {
                request(&self.client, "POST", &path(""), "application/json", Some(saga)).await
            }
            Deed::Apply(saga) => {
                let path = named(&text(&saga["metadata"]["name"])) + "&fieldManager=git";
                request(&self.client, "PATCH", &path, "application/apply-patch+yaml", Some(saga))
                    .await
            }
            Deed::Change(name, change) => {
                request(
                    &self.client,
                    "PATCH",
                    &named(name),
                    "application/merge-patch+json",
                    Some(change),
                )
                .await
            }
            Deed::Delete(name) => {
                request(&self.client, "DELETE", &named(name), "application/json", None).await
            }
            Deed::DeleteAll => {
                request(&self.client, "DELETE", &path(""), "application/json", None).await
            }
            Deed::Call(method, path, body) => {
                let content = match *method {
                    "PATCH" => "application/merge-patch+json",
                    _ => "application/json",
                };
                let body = Some(body).filter(|body| !body.is_null());
                request(&self.client, method, &format!("{path}{query}"), content, body).await
            }
        }
    }

    /// Waits until the deed is refused, and returns the message that follows the name of the
    /// policy.
    pub async fn is_refused(&self, deed: &Deed) -> String {
        let what = format!("{} is refused by a policy: {deed:?}", self.name);
        eventually(&what, || async {
            let refusal = self.act(deed, Effect::DryRun).await.err()?;
            refusal.message.split_once(DENIED).map(|(_, words)| words.to_owned())
        })
        .await
    }

    /// Waits until the deed is allowed, and returns the answer.
    pub async fn may(&self, deed: &Deed) -> Value {
        let what = format!("{} may do this: {deed:?}", self.name);
        let allowed = eventually(&what, || async {
            // The output is shown only if the test fails.
            self.act(deed, Effect::DryRun)
                .await
                .inspect_err(|refusal| eprintln!("{}: {refusal}", self.name))
                .ok()
        });
        allowed.await
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
