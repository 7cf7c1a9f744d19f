//! The faulty operator as a process.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use crate::{
    fault::{Counter, Traced},
    stand::{PATIENCE, Stand, setting},
};

/// How often something is looked at that tells nobody when it changes.
pub const POLL: Duration = Duration::from_millis(20);

/// One operator. It dies with this value.
pub struct Process {
    child: Child,
    trace: PathBuf,
}

impl Process {
    /// Starts an operator that works in the stand's namespace alone. `plan` are the variables of
    /// the faulty operator; its `trace` is a name that no other process of this namespace has.
    pub fn start(stand: &Stand, trace: &str, plan: &[(&str, String)]) -> Self {
        Self::start_with(stand, trace, plan, &[])
    }

    /// The same with more arguments.
    pub fn start_with(
        stand: &Stand,
        trace: &str,
        plan: &[(&str, String)],
        arguments: &[&str],
    ) -> Self {
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let trace = temporary.join(format!("{}-{trace}.trace", stand.namespace));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(stand.log()).unwrap();
        // Beside the operator's own binary, where Cargo puts examples.
        let program = Path::new(env!("CARGO_BIN_EXE_saga-operator"))
            .with_file_name("examples")
            .join("faulty-operator");
        let child = Command::new(program)
            .args([
                "run",
                "--watch-namespaces",
                &stand.namespace,
                "--http-allow-cidrs",
                "127.0.0.0/8",
            ])
            .args(["--metrics-addr", "0", "--health-addr", "0", "--log-format", "json"])
            .args(arguments)
            .env("KUBECONFIG", setting("SAGA_TEST_OPERATOR_KUBECONFIG"))
            .env("SAGA_TRACE", &trace)
            .envs(plan.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Self {
            child: child.expect(
                "the faulty operator is built: cargo build --features twins \
            --example faulty-operator",
            ),
            trace,
        }
    }

    /// All calls so far.
    pub fn trace(&self) -> Vec<Traced> {
        let text = std::fs::read_to_string(&self.trace).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until the trace is as wanted.
    pub async fn until(&self, what: &str, wanted: impl Fn(&[Traced]) -> bool) {
        let seen = async {
            while !wanted(&self.trace()) {
                sleep(POLL).await;
            }
        };
        timeout(PATIENCE, seen)
            .await
            .unwrap_or_else(|_| panic!("the operator does not {what}: {:?}", self.trace()));
    }

    /// Waits until both watches are open: from now on the operator sees what happens.
    pub async fn watches(&mut self) {
        let open = |trace: &[Traced], counter| {
            trace.iter().any(|call| call.counter == counter && call.committed())
        };
        let seen = async {
            while !self.has_ended()
                && ![Counter::SagaWatch, Counter::PodWatch]
                    .into_iter()
                    .all(|counter| open(&self.trace(), counter))
            {
                sleep(POLL).await;
            }
        };
        timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("the operator does not watch"));
    }

    /// Waits until it asked for the leader's Lease, or cannot any more.
    pub async fn stands(&mut self) {
        let asked = |trace: &[Traced]| {
            trace.iter().any(|call| {
                matches!(call.counter, Counter::LeaderCreation | Counter::LeaderRenewal)
            })
        };
        let seen = async {
            while !self.has_ended() && !self.stands_still() && !asked(&self.trace()) {
                sleep(POLL).await;
            }
        };
        timeout(PATIENCE, seen)
            .await
            .unwrap_or_else(|_| panic!("the operator does not stand for leadership"));
    }

    /// Whether the process is gone.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Whether the process stands still (SIGSTOP).
    pub fn stands_still(&self) -> bool {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The state is the first field after the name, which ends with the last parenthesis.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    /// Lets a process that stands still go on.
    pub fn go_on(&self) {
        assert!(
            Command::new("kill")
                .args(["-CONT", &self.child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.trace);
    }
}
