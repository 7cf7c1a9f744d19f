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

/// The interval for polling state that has no notification.
pub const POLL: Duration = Duration::from_millis(20);

/// One operator. Dropping this value kills the process.
pub struct Process {
    child: Child,
    trace: PathBuf,
}

impl Process {
    /// Starts an operator that works only in the namespace of the stand. `plan` holds the
    /// environment variables of the faulty operator. `trace` is a name that is unique in this
    /// namespace.
    pub fn start(stand: &Stand, trace: &str, plan: &[(&str, String)]) -> Self {
        Self::start_with(stand, trace, plan, &[])
    }

    /// Starts an operator like [`Self::start`], with additional arguments.
    pub fn start_with(
        stand: &Stand,
        trace: &str,
        plan: &[(&str, String)],
        arguments: &[&str],
    ) -> Self {
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let trace = temporary.join(format!("{}-{trace}.trace", stand.namespace));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(stand.log()).unwrap();
        // The faulty operator is an example. Cargo puts examples next to the binary of the
        // operator.
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

    /// Returns all calls so far.
    pub fn trace(&self) -> Vec<Traced> {
        let text = std::fs::read_to_string(&self.trace).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until the trace meets the condition.
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

    /// Waits until both watches are open and the operator sees all changes.
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

    /// Waits until the process has requested the Lease of the leader, or is stopped or dead.
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
            .unwrap_or_else(|_| panic!("the operator does not take part in the leader election"));
    }

    /// Returns whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Returns whether the process is stopped (SIGSTOP).
    pub fn stands_still(&self) -> bool {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The state is the first field after the name. The name ends with the last parenthesis.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    /// Continues a stopped process.
    pub fn resume(&self) {
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
