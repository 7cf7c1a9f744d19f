//! Decides when the process stops. The first SIGTERM or SIGINT requests a stop. The second signal
//! requires an immediate stop.

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// The urgency of the stop. The urgency never decreases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Running,
    Requested,
    Immediate,
}

/// Reports to any number of tasks when to stop. Clones share one state.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<Stage>);

/// Requests a stop from the tasks that hold the matching [`Shutdown`]. If the trigger is dropped,
/// the stop is immediate, because no later request is possible.
#[derive(Debug)]
pub struct Trigger(watch::Sender<Stage>);

impl Shutdown {
    /// Follows the signals of this process. From now on, SIGTERM and SIGINT do not end the process
    /// automatically.
    ///
    /// # Errors
    /// Fails if the signal handlers cannot be installed.
    ///
    /// # Panics
    /// Panics outside a Tokio runtime.
    pub fn on_signals() -> std::io::Result<Self> {
        // Both handlers are installed before this function returns. No later signal is lost.
        let (terminate, interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (trigger, shutdown) = Self::manual();
        tokio::spawn(follow(trigger, terminate, interrupt));
        Ok(shutdown)
    }

    /// Creates a shutdown that only its trigger starts. Signals have no effect on it.
    #[must_use]
    pub fn manual() -> (Trigger, Self) {
        let (sender, receiver) = watch::channel(Stage::Running);
        (Trigger(sender), Self(receiver))
    }

    /// Waits until a stop is requested. A task then takes no new work, and finishes the work that
    /// it has begun. After the request, later calls return immediately.
    pub async fn requested(&self) {
        self.reached(Stage::Requested).await;
    }

    /// Waits until an immediate stop is required. A task then waits for nothing. Afterwards, later
    /// calls return immediately.
    pub async fn immediate(&self) {
        self.reached(Stage::Immediate).await;
    }

    /// Returns whether a stop is requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() >= Stage::Requested || self.0.has_changed().is_err()
    }

    async fn reached(&self, stage: Stage) {
        // An error means that the trigger was dropped, which requires an immediate stop.
        let mut receiver = self.0.clone();
        let _gone = receiver.wait_for(|now| *now >= stage).await;
    }
}

impl Trigger {
    /// Requests a stop. A second call requires an immediate stop.
    pub fn request(&self) {
        self.0.send_modify(|stage| {
            *stage = if *stage == Stage::Running { Stage::Requested } else { Stage::Immediate }
        });
    }
}

/// Requests a stop at the first signal and an immediate stop at the second, for signals of either
/// kind.
async fn follow(trigger: Trigger, mut terminate: Signal, mut interrupt: Signal) {
    for _ in [Stage::Requested, Stage::Immediate] {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "received a stop signal");
        trigger.request();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_first_request_asks_and_the_second_demands() {
        let (trigger, shutdown) = Shutdown::manual();
        let other = shutdown.clone();
        assert!(!shutdown.is_requested());
        assert!(shutdown.requested().now_or_never().is_none());

        trigger.request();
        other.requested().await;
        assert!(shutdown.is_requested());
        assert!(other.immediate().now_or_never().is_none(), "one request is not yet a demand");

        trigger.request();
        tokio::join!(shutdown.immediate(), other.immediate(), other.requested());
    }

    #[tokio::test]
    async fn a_lost_trigger_stops_everything() {
        let (trigger, shutdown) = Shutdown::manual();
        drop(trigger);
        assert!(shutdown.is_requested());
        tokio::join!(shutdown.requested(), shutdown.immediate());
    }

    #[tokio::test]
    async fn sigterm_asks_and_sigint_after_it_demands() {
        let shutdown = Shutdown::on_signals().unwrap();
        let send = |signal: &str| {
            let command = format!("kill -{signal} {}", std::process::id());
            assert!(
                std::process::Command::new("sh").args(["-c", &command]).status().unwrap().success()
            );
        };
        send("TERM");
        shutdown.requested().await;
        assert!(shutdown.immediate().now_or_never().is_none());
        send("INT");
        shutdown.immediate().await;
    }
}
