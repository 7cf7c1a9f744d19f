//! The operators of a stand: how to start, stop and kill them, and how to read their logs and
//! metrics.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{PATIENCE, Stand};

impl Stand {
    /// Starts the operator, limited to this namespace, with the rights that the chart gives it.
    pub fn start(&mut self) {
        self.start_with_log_level("info");
    }

    /// Starts the operator with this log level.
    pub fn start_with_log_level(&mut self, level: &str) {
        assert!(self.operator.is_none(), "it runs already");
        self.operator = Some(self.spawn(level, &self.log(), [None; 2]));
    }

    /// Starts an operator that logs everything. Returns the addresses of its metrics and of its
    /// probes.
    pub fn start_telling_all(&mut self) -> [SocketAddr; 2] {
        assert!(self.operator.is_none(), "it runs already");
        let addresses = [free_address(), free_address()];
        self.operator = Some(self.spawn("trace", &self.log(), addresses.map(Some)));
        addresses
    }

    /// Starts the operator with this drain time: it waits this long for its HTTP requests when it
    /// is asked to stop.
    pub fn start_draining(&mut self, drain: &str) {
        assert!(self.operator.is_none(), "it runs already");
        let mut command = self.command("info", &self.log(), [None; 2]);
        self.operator = Some(command.args(["--drain", drain]).spawn().unwrap());
    }

    /// Starts the operator for this namespace and that of another stand.
    pub fn start_beside(&mut self, other: &Self) {
        assert!(self.operator.is_none(), "it runs already");
        let mut command = self.command("info", &self.log(), [None; 2]);
        let both = command.args(["--watch-namespaces", &other.namespace]);
        self.operator = Some(both.spawn().unwrap());
    }

    /// Starts a second operator beside the first one.
    pub fn start_second(&mut self) {
        assert!(self.second.is_none(), "it runs already");
        self.second = Some(self.spawn("info", &self.second_log(), [None; 2]));
    }

    /// Starts an operator of a later version beside the first one. `src/api/next.rs` describes the
    /// differences. Returns the address of its metrics.
    pub fn start_next(&mut self) -> SocketAddr {
        assert!(self.second.is_none(), "it runs already");
        let address = free_address();
        let mut command =
            self.command_of(&next_operator(), "info", &self.second_log(), [Some(address), None]);
        self.second = Some(command.spawn().expect(NEXT_IS_BUILT));
        address
    }

    /// Starts the operator and returns the address of its metrics.
    pub fn start_measured(&mut self) -> SocketAddr {
        assert!(self.operator.is_none(), "it runs already");
        let address = free_address();
        self.operator = Some(self.spawn("info", &self.log(), [Some(address), None]));
        address
    }

    /// Asks the second operator to stop, and waits until it has stopped.
    pub async fn stop_second(&mut self) {
        let second = self.second.take().expect("the second operator runs");
        stop(second).await;
    }

    /// Asks the operator to stop, and waits until it has stopped.
    pub async fn stop(&mut self) {
        let operator = self.operator.take().expect("the operator runs");
        stop(operator).await;
    }

    /// Starts an operator with leader election, as the first or the second operator. Returns the
    /// address of its metrics. When the operator is asked to stop, it waits for its HTTP requests
    /// for longer than any test takes.
    pub fn start_electing(&mut self, second: bool) -> SocketAddr {
        let address = free_address();
        let log = if second { self.second_log() } else { self.log() };
        let mut command = self.command("info", &log, [Some(address), None]);
        let place = if second { &mut self.second } else { &mut self.operator };
        assert!(place.is_none(), "it runs already");
        *place = Some(command.args(["--leader-elect", "--drain", "5m"]).spawn().unwrap());
        address
    }

    /// Returns the path of the second operator's log.
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
                "--circuits-endpoint",
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

    /// Returns the path of the operator's log of this test.
    pub fn log(&self) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.log", self.namespace))
    }

    /// Kills the operator with SIGKILL.
    pub fn kill(&mut self) {
        let mut operator = self.operator.take().expect("the operator runs");
        operator.kill().unwrap();
        operator.wait().unwrap();
    }

    /// Asks the operator to stop with SIGTERM.
    pub fn ask_to_stop(&self) {
        self.signal("-TERM");
    }

    /// Freezes the operator with SIGSTOP.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Resumes a frozen operator with SIGCONT.
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

    /// Waits until an operator that was asked to stop has stopped. Returns its exit code.
    pub async fn stopped(&mut self) -> Option<i32> {
        let mut operator = self.operator.take().expect("the operator runs");
        let ended = tokio::task::spawn_blocking(move || operator.wait().unwrap().code());
        timeout(PATIENCE, ended).await.expect("it stops in time").unwrap()
    }

    /// Waits until the operator's log contains a text.
    pub async fn logs(&self, text: &str) {
        logs(&self.log(), text).await;
    }

    /// Waits until the second operator's log contains a text.
    pub async fn second_logs(&self, text: &str) {
        logs(&self.second_log(), text).await;
    }

    /// Returns whether the operator is alive.
    pub fn lives(&mut self) -> bool {
        lives(&mut self.operator)
    }

    /// Returns whether the second operator is alive.
    pub fn second_lives(&mut self) -> bool {
        lives(&mut self.second)
    }
}

/// The message if no operator of a later version was built.
pub const NEXT_IS_BUILT: &str =
    "the later version is built: cargo build --locked --features next --example next-operator";

/// Returns the path of the operator of a later version: Cargo puts examples in a folder beside the
/// operator's own binary.
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

/// Returns an address on which no process listens.
fn free_address() -> SocketAddr {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .unwrap()
}

/// Returns the answer of a server of the operator to a GET of this path.
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
