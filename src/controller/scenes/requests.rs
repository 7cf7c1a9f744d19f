//! HTTP requests that are late, or whose executor's Lease lapsed before any part of them was sent.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{
    controller::{
        effects::request::{self, RequestContext},
        memory::attempt::never_sent,
    },
    model::observation::End,
};

/// Returns a process that may call this machine, the action that calls a service on this machine,
/// and the number of calls that the service counts.
async fn with_a_service() -> (Scene, Value, Arc<Mutex<usize>>) {
    let mut scene = Scene::new();
    scene.may_call_this_machine();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let read = stream.read(&mut [0; 1024]).await.unwrap_or_default();
            if read > 0 {
                *counted.lock().unwrap() += 1;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            }
        }
    });
    let action = json!({"http": {"method": "POST", "url": format!("http://{address}/charges")}});
    (scene, action, calls)
}

/// Starts the HTTP request of the attempt, waits until it has ended, and returns its end. `late`:
/// the time since the intent was written.
pub(super) async fn flown(
    scene: &mut Scene,
    saga: &Value,
    executor: &str,
    late: Duration,
) -> Option<End> {
    let (stored, valid) = (stored(saga), valid(saga));
    let Work::Http(action) = &valid.steps[0].action.work else { unreachable!() };
    let fresh_since = Instant::now().checked_sub(late).unwrap();
    let time_limit = Duration::from_mins(1);
    let request_context = RequestContext {
        stored: &stored,
        account: "default",
        action,
        time_limit,
        fresh_since,
        executor,
    };
    let performance = fixture::performance(&scene.context, &stored, &valid, executor);
    request::begin(&performance, &request_context, identity(), None);
    assert_eq!(scene.enqueued.recv().await.unwrap(), SagaRef::new("shop", "order"));
    scene.context.memory.attempts.look(&key(), |known| {
        assert!(known.in_flight().is_none());
        known.end.clone()
    })
}

#[tokio::test]
async fn a_lapse_before_anything_was_sent_costs_no_attempt() {
    let (mut scene, action, calls) = with_a_service().await;
    let saga = saga(&action, &under_way(&json!({"executor": "lapsed"})));
    assert_eq!(flown(&mut scene, &saga, "lapsed", Duration::ZERO).await, Some(never_sent()));
    assert_eq!(*calls.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_request_that_is_late_leaves_only_where_a_live_read_shows_its_attempt() {
    let (mut scene, action, calls) = with_a_service().await;
    let (executor, lease) = scene.with_a_lease().await;
    let late = Duration::from_secs(3);
    let saga = saga(&action, &under_way(&json!({"executor": executor})));
    assert_eq!(
        flown(&mut scene, &saga, &executor, late).await,
        None,
        "the saga is gone: there is nothing to note"
    );
    assert_eq!(*calls.lock().unwrap(), 0);
    scene.server.holds(SAGA, saga.clone());
    let end = flown(&mut scene, &saga, &executor, late).await;
    assert!(matches!(&end, Some(End::Answered(answer)) if answer.status == 204), "{end:?}");
    assert_eq!(*calls.lock().unwrap(), 1);
    scene.server.holds_no_more(SAGA);
    scene.context.memory.attempts.look(&key(), |known| known.end = None);
    let end = flown(&mut scene, &saga, &executor, Duration::ZERO).await;
    assert!(matches!(end, Some(End::Answered(_))), "what is fresh reads nothing: {end:?}");
    lease.abort();
}
