//! The layer that strikes a call. It is below the rules of the client and above the connections.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Write as _,
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures::{future::BoxFuture, stream};
use http::{Request, Response, request::Parts};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Body as HttpBody, Bytes, Frame};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tower::{BoxError, Layer, Service, ServiceExt as _};

use crate::{
    answers::{Answer, lost, name, refusal, typed, without_length},
    calls::{class, counter, saga},
    fault::{Counter, Fault, Strike, Traced},
};

/// The lifetime of the process after the answer that makes it die.
const AFTER_ANSWER: Duration = Duration::from_millis(3);
/// How long the watch delivers nothing newer than a stale copy.
const STALE_FOR: Duration = Duration::from_millis(300);
/// The number of the signal on Linux that continues a stopped process.
const SIGCONT: i32 = 18;
/// The interval for checking whether the watch may continue.
const POLL: Duration = Duration::from_millis(10);

/// Strikes one call of this process.
#[derive(Clone)]
pub struct FaultLayer(Arc<Switch>);

impl FaultLayer {
    /// Creates a layer with at most one fault. Each call adds a line to the file `trace`.
    pub fn new(strike: Option<Strike>, trace: Option<File>) -> Self {
        Self(Arc::new(Switch { strike, trace: trace.map(Mutex::new), state: Mutex::default() }))
    }
}

impl<S> Layer<S> for FaultLayer {
    type Service = Faulty<S>;

    fn layer(&self, inner: S) -> Faulty<S> {
        Faulty { inner, switch: Arc::clone(&self.0) }
    }
}

/// The service that [`FaultLayer`] creates.
#[derive(Clone)]
pub struct Faulty<S> {
    inner: S,
    switch: Arc<Switch>,
}

impl<S, B> Service<Request<Body>> for Faulty<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // `poll_ready` reserved this instance, so this instance must take the call. A fresh clone
        // replaces it for the next call.
        let fresh = self.inner.clone();
        let (inner, switch) = (std::mem::replace(&mut self.inner, fresh), Arc::clone(&self.switch));
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            let call = switch.count(&head, &body);
            let send = async move {
                let answer = inner
                    .oneshot(Request::from_parts(head, Body::from(body)))
                    .await
                    .map_err(Into::into)?;
                Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
            };
            switch.pass(call, send).await
        })
    }
}

/// A call with its counter and its number.
struct Call {
    counter: Counter,
    nth: usize,
    class: String,
    /// The name of the saga that the call is about.
    saga: Option<String>,
    /// The fault that strikes the call.
    fault: Option<Fault>,
}

struct Switch {
    strike: Option<Strike>,
    trace: Option<Mutex<File>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counts: HashMap<Counter, usize>,
    /// The UIDs of children that were written into a status.
    noted: Vec<String>,
    /// Whether the process dies when it sends its next call.
    doomed: bool,
    /// The newest copy of each saga that the watch or a list delivered, by name.
    copies: BTreeMap<String, Value>,
    /// The sender of the lines of the watch on sagas.
    watch: Option<mpsc::UnboundedSender<Option<Bytes>>>,
    /// The time until which the watch delivers nothing newer.
    held_until: Option<Instant>,
    /// The stale items that replace the items of the next list of sagas.
    stale_list: Option<Vec<Value>>,
}

impl State {
    /// Adds a line to the watch on sagas. Like in the output of the API server, the type is the
    /// first field. The operator requires this order for sagas.
    fn bring(&self, kind: &str, object: &Value) {
        if let Some(watch) = &self.watch {
            // The send fails if the watch has ended. A new watch is then about to start.
            let _ = watch
                .send(Some(Bytes::from(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n"))));
        }
    }
}

impl Switch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time until which the watch delivers nothing newer, if this time is not over.
    fn held(&self) -> Option<Instant> {
        self.state().held_until.filter(|until| *until > Instant::now())
    }

    fn count(&self, head: &Parts, body: &[u8]) -> Call {
        let class = class(head);
        let mut state = self.state();
        let counter = counter(head, &class, body, &mut state.noted);
        let count = state.counts.entry(counter).or_default();
        *count += 1;
        let nth = *count;
        let fault = self
            .strike
            .filter(|strike| strike.counter == counter && strike.nth == nth)
            .map(|strike| strike.fault);
        if state.doomed {
            drop(state);
            std::process::abort();
        }
        Call { counter, nth, class, saga: saga(head).map(str::to_owned), fault }
    }

    async fn pass(
        self: Arc<Self>,
        call: Call,
        send: impl Future<Output = Result<Answer, BoxError>> + Send,
    ) -> Result<Answer, BoxError> {
        match call.fault {
            Some(Fault::CrashBefore) => {
                self.trace(&call, None);
                std::process::abort();
            }
            Some(Fault::Reset) => {
                self.trace(&call, None);
                return Err(lost());
            }
            Some(fault) if fault.refusal().is_some() => {
                self.trace(&call, None);
                return Ok(refusal(fault));
            }
            Some(Fault::Stale | Fault::StaleList) => {
                self.state().held_until = Some(Instant::now() + Duration::from_mins(1));
            }
            Some(_) | None => {}
        }
        let before = self.state().copies.clone();
        let answer = send.await;
        self.trace(&call, answer.as_ref().ok().map(|answer| answer.status().as_u16()));
        let answer = answer?;
        match call.fault {
            Some(Fault::CrashAfterCommit) => std::process::abort(),
            Some(Fault::ResetAfterCommit) => return Err(lost()),
            Some(Fault::TimeoutAfterCommit) => return std::future::pending().await,
            Some(Fault::CrashAfterAnswer) => {
                self.state().doomed = true;
                tokio::spawn(async {
                    sleep(AFTER_ANSWER).await;
                    std::process::abort();
                });
            }
            Some(Fault::Stale) => {
                self.deliver_again(call.saga.and_then(|saga| before.get(&saga).cloned()));
            }
            Some(Fault::StaleList) => self.cut_the_watch(before.into_values().collect()),
            Some(fault) if fault.freezes() => stop_here().await,
            Some(_) | None => {}
        }
        if call.counter == Counter::SagaList {
            return self.listed(answer).await;
        }
        Ok(if call.counter == Counter::SagaWatch {
            answer.map(|body| self.watched(body))
        } else {
            answer
        })
    }

    /// Delivers a copy once more through the watch. Then the watch delivers nothing newer for some
    /// time.
    fn deliver_again(&self, copy: Option<Value>) {
        let mut state = self.state();
        state.held_until = Some(Instant::now() + STALE_FOR);
        if let Some(copy) = copy {
            state.bring("MODIFIED", &copy);
        }
    }

    /// Ends the watch with the error that its resource version has expired. The next list contains
    /// these copies.
    fn cut_the_watch(&self, copies: Vec<Value>) {
        let mut state = self.state();
        state.stale_list = Some(copies).filter(|copies| !copies.is_empty());
        let gone = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "too old resource version", "reason": "Expired", "code": 410,
        });
        state.bring("ERROR", &gone);
    }

    /// Splits the body of a watch on sagas into lines, so that other lines can be inserted.
    fn watched(
        self: Arc<Self>,
        body: UnsyncBoxBody<Bytes, BoxError>,
    ) -> UnsyncBoxBody<Bytes, BoxError> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.state().watch = Some(sender.clone());
        tokio::spawn(forward(self, body, sender));
        let frames = stream::unfold(receiver, |mut receiver| async {
            let line = receiver.recv().await.flatten()?;
            Some((Ok(Frame::data(line)), receiver))
        });
        StreamBody::new(frames).boxed_unsync()
    }

    /// Returns the answer to a list of sagas. Replaces its items by a stale copy if a fault
    /// requires one.
    async fn listed(&self, answer: Answer) -> Result<Answer, BoxError> {
        let (head, body) = answer.into_parts();
        let mut list: Value = serde_json::from_slice(&body.collect().await?.to_bytes())?;
        let mut state = self.state();
        state.held_until = None;
        if let Some(stale) = state.stale_list.take() {
            let version = |copy: &Value| {
                copy["metadata"]["resourceVersion"]
                    .as_str()
                    .and_then(|version| version.parse::<u64>().ok())
            };
            let newest = stale.iter().filter_map(version).max().unwrap_or_default();
            list["metadata"]["resourceVersion"] = json!(newest.to_string());
            list["items"] = json!(stale);
        }
        state.copies = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|saga| (name(saga), typed(saga.clone())))
            .collect();
        drop(state);
        let body = Full::new(Bytes::from(list.to_string())).map_err(|never| match never {});
        Ok(Response::from_parts(without_length(head), body.boxed_unsync()))
    }

    fn trace(&self, call: &Call, status: Option<u16>) {
        let Some(trace) = &self.trace else { return };
        let line = Traced {
            counter: call.counter,
            nth: call.nth,
            class: call.class.clone(),
            status,
            struck: call.fault.map(|fault| fault.as_str().to_owned()),
        };
        let line =
            format!("{}\n", serde_json::to_string(&line).expect("a line of the trace is JSON"));
        let mut trace = trace.lock().unwrap_or_else(PoisonError::into_inner);
        trace.write_all(line.as_bytes()).expect("the trace can be written");
    }
}

/// Forwards a watch line by line. While the watch must deliver nothing newer, the lines wait.
async fn forward(
    switch: Arc<Switch>,
    mut body: UnsyncBoxBody<Bytes, BoxError>,
    lines: mpsc::UnboundedSender<Option<Bytes>>,
) {
    let mut pending = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        pending.extend_from_slice(&frame.into_data().unwrap_or_default());
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            let event: Value = serde_json::from_slice(&line).unwrap_or_default();
            while let Some(until) = switch.held() {
                sleep_until(until.min(Instant::now() + POLL)).await;
            }
            match event["type"].as_str() {
                Some("ADDED" | "MODIFIED") => {
                    _ = switch
                        .state()
                        .copies
                        .insert(name(&event["object"]), event["object"].clone());
                }
                Some("DELETED") => _ = switch.state().copies.remove(&name(&event["object"])),
                _ => {}
            }
            if lines.send(Some(line.into())).is_err() {
                return;
            }
        }
    }
    // The send fails if the receiver has given up the watch.
    let _ = lines.send(None);
}

/// Stops this process until it receives SIGCONT. SIGSTOP stops the threads one after the other, and
/// on a busy machine another thread may continue for some time. Therefore, nobody gets the answer
/// before SIGCONT.
async fn stop_here() {
    let mut going_on = signal(SignalKind::from_raw(SIGCONT)).unwrap();
    let stopped = Command::new("kill").args(["-STOP", &std::process::id().to_string()]).status();
    assert!(stopped.is_ok_and(|status| status.success()), "the process can stop itself");
    going_on.recv().await;
}
