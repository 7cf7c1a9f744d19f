//! The namespace of the chains. Each run has its own namespace.

use std::{net::SocketAddr, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::wait::await_condition,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    contestant::{Process, Who},
    settings::{Settings, Work, given},
};

/// The interval for asking the API server whether all chains have ended.
const LOOK: Duration = Duration::from_millis(200);
/// The phases in which nothing happens until a user sends a request. The first one is the expected
/// phase.
const ENDS: [&str; 5] = ["Completed", "Failed", "Compensated", "CompensationFailed", "Cancelled"];
/// The number of connections that create chains.
const CONNECTIONS: usize = 6;

/// The chains of one contestant in one namespace.
pub struct Place<'a> {
    pub namespace: String,
    settings: &'a Settings,
    client: Client,
    who: Who,
    work: Work,
    service: SocketAddr,
}

impl<'a> Place<'a> {
    pub async fn create(settings: &'a Settings, who: Who, work: Work, service: SocketAddr) -> Self {
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let kubeconfig = Kubeconfig::read_from(given("SAGA_BENCH_KUBECONFIG")).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .unwrap();
        let client = Client::try_from(config).unwrap();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace: Namespace =
            serde_json::from_value(json!({"metadata": {"generateName": "bench-"}})).unwrap();
        let namespace =
            namespaces.create(&PostParams::default(), &namespace).await.unwrap().name_any();
        // The API server refuses pods until the controller manager has created the account.
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
        await_condition(accounts, "default", |account: Option<&ServiceAccount>| account.is_some())
            .await
            .unwrap();
        Self { namespace, settings, client, who, work, service }
    }

    fn chains(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &self.who.resource())
    }

    pub async fn begin(&self, name: &str) {
        let chain: Value = self.who.chain(name, self.work, self.service);
        self.chains()
            .create(&PostParams::default(), &serde_json::from_value(chain).unwrap())
            .await
            .unwrap();
    }

    /// Creates all chains at the same time.
    pub async fn begin_all(&self, names: &[String]) {
        stream::iter(names).for_each_concurrent(CONNECTIONS, |name| self.begin(name)).await;
    }

    /// Waits until every chain has ended. Returns an error for each chain that did not end well or
    /// did not end in time.
    pub async fn complete(&self, process: &mut Process) -> Vec<String> {
        let unended = ENDS.map(|phase| format!("status.phase!={phase}")).join(",");
        let deadline = Instant::now() + self.settings.patience;
        while Instant::now() < deadline {
            process.must_live();
            let left = self
                .chains()
                .list_metadata(&ListParams::default().fields(&unended).limit(1))
                .await
                .unwrap();
            if left.items.is_empty() {
                break;
            }
            sleep(LOOK).await;
        }
        let wrong = self
            .chains()
            .list(&ListParams::default().fields(&format!("status.phase!={}", ENDS[0])))
            .await
            .unwrap();
        let told = |chain: &DynamicObject| {
            format!(
                "{} is {}: {}",
                chain.name_any(),
                chain.data["status"]["phase"],
                chain.data["status"]["message"]
            )
        };
        wrong.items.iter().map(told).collect()
    }

    /// Deletes the namespace and waits for the end of the deletion. The next contestant therefore
    /// finds the cluster in the same state.
    pub async fn clear(self) {
        let namespaces: Api<Namespace> = Api::all(self.client);
        namespaces.delete(&self.namespace, &DeleteParams::default()).await.unwrap();
        await_condition(namespaces, &self.namespace, |namespace: Option<&Namespace>| {
            namespace.is_none()
        })
        .await
        .unwrap();
    }
}
