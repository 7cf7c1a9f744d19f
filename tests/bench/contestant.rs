//! The contestants: the operator and the floor controller. Each runs as a process and has its own
//! kind of object for a chain.

use std::{
    fs::File,
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use kube::core::{ApiResource, GroupVersionKind};
use serde::Serialize;
use serde_json::{Value, json};

use crate::settings::{Work, given};

/// The number of steps of a chain.
pub const STEPS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    Floor,
    Ours,
}

impl Who {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Ours => "ours",
        }
    }

    /// Returns the user name of the contestant in the audit log.
    pub const fn user(self) -> &'static str {
        match self {
            Self::Floor => "system:serviceaccount:saga-system:floor",
            Self::Ours => "system:serviceaccount:saga-system:saga-operator",
        }
    }

    /// Returns the resource that is a chain for the contestant.
    pub fn resource(self) -> ApiResource {
        let kind = match self {
            Self::Floor => GroupVersionKind::gvk("saga.dev", "v1", "Chain"),
            Self::Ours => GroupVersionKind::gvk("saga.dev", "v1alpha1", "Saga"),
        };
        ApiResource::from_gvk(&kind)
    }

    /// Returns the object of a chain. Its HTTP requests use the URL
    /// `http://<service>/<chain>/<step>`.
    pub fn chain(self, name: &str, work: Work, service: SocketAddr) -> Value {
        let spec = match self {
            Self::Floor if work == Work::Pods => json!({"steps": STEPS}),
            Self::Floor => json!({"steps": STEPS, "url": format!("http://{service}")}),
            Self::Ours => {
                let steps: Vec<_> = (1..=STEPS).map(|nth| step(name, nth, work, service)).collect();
                json!({"steps": steps})
            }
        };
        let ApiResource { api_version, kind, .. } = self.resource();
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec})
    }

    fn log(self) -> String {
        format!("{}/{}.log", given("SAGA_BENCH_LOGS"), self.name())
    }

    /// Starts the process of the contestant. The process works in all namespaces.
    pub fn start(self) -> Process {
        let variable =
            |suffix: &str| given(&format!("SAGA_BENCH_{}_{suffix}", self.name().to_uppercase()));
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = Command::new(variable("PROGRAM"));
        if self == Self::Ours {
            // The arguments of the chart, except for the addresses. The HTTP requests go to this
            // machine.
            command.args([
                "run",
                "--leader-elect",
                "--metrics-addr=127.0.0.1:0",
                "--health-addr=0",
                "--log-format=json",
            ]);
            command.arg("--http-allow-cidrs=127.0.0.1/32");
        }
        command
            .env("KUBECONFIG", variable("KUBECONFIG"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        Process { who: self, child: command.spawn().unwrap() }
    }
}

fn step(chain: &str, nth: usize, work: Work, service: SocketAddr) -> Value {
    let mut step = match work {
        Work::Pods => json!({"pod": {"image": "saga.dev/examples/busybox:1", "command": ["true"]}}),
        Work::Requests => {
            json!({"http": {"method": "POST", "url": format!("http://{service}/{chain}/s{nth}")}})
        }
    };
    step["name"] = format!("s{nth}").into();
    if nth > 1 {
        step["dependsOn"] = json!([format!("s{}", nth - 1)]);
    }
    step
}

/// A running contestant. Dropping this value kills the process.
pub struct Process {
    who: Who,
    child: Child,
}

impl Process {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Panics if the process has ended.
    pub fn must_live(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "{} ended ({ended:?}): see {}", self.who.name(), self.who.log());
    }

    /// Asks the process to stop, so that it releases its Lease, and waits for its end.
    pub fn stop(mut self) {
        assert!(Command::new("kill").arg(self.id().to_string()).status().unwrap().success());
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
