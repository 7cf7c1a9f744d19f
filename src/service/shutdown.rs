//! When to stop: SIGTERM or SIGINT asks for it, a second one demands it.

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// How urgent it is. Only ever grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Running,
    Requested,
    Immediate,
}

/// Tells any number of tasks when to stop. Clones share one state.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<Stage>);

/// Asks the tasks that hold the matching [`Shutdown`] to stop. Dropping it demands it, since nobody
/// could ask any more.
#[derive(Debug)]
pub struct Trigger(watch::Sender<Stage>);

impl Shutdown {
    /// Follows the signals of this process: from here on, neither SIGTERM nor SIGINT ends it by
    /// itself.
    ///
    /// # Errors
    /// Where the handlers cannot be installed.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn on_signals() -> std::io::Result<Self> {
        // Both handlers stand before this returns, so that no signal after it is lost.
        let (terminate, interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let (trigger, shutdown) = Self::manual();
        tokio::spawn(follow(trigger, terminate, interrupt));
        Ok(shutdown)
    }

    /// A shutdown that only its trigger starts, whatever signals arrive.
    #[must_use]
    pub fn manual() -> (Trigger, Self) {
        let (sender, receiver) = watch::channel(Stage::Running);
        (Trigger(sender), Self(receiver))
    }

    /// Waits until the process is to stop: take no new work, let end what has begun. Resolves at
    /// once ever after.
    pub async fn requested(&self) {
        self.reached(Stage::Requested).await;
    }

    /// Waits until the process is to stop without waiting for anything. Resolves at once ever
    /// after.
    pub async fn immediate(&self) {
        self.reached(Stage::Immediate).await;
    }

    /// Whether the process is to stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() >= Stage::Requested || self.0.has_changed().is_err()
    }

    async fn reached(&self, stage: Stage) {
        // An error says that the trigger is gone, which demands a stop.
        let mut receiver = self.0.clone();
        let _gone = receiver.wait_for(|now| *now >= stage).await;
    }
}

impl Trigger {
    /// Asks to stop; asking again demands it.
    pub fn request(&self) {
        self.0.send_modify(|stage| {
            *stage = if *stage == Stage::Running { Stage::Requested } else { Stage::Immediate }
        });
    }
}

/// Turns two signals of either kind into the two stages.
async fn follow(trigger: Trigger, mut terminate: Signal, mut interrupt: Signal) {
    for _ in [Stage::Requested, Stage::Immediate] {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "asked to stop");
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
