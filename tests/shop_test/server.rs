//! Tests of the shop over real connections, including missing answers.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::shop::{self, Kind, Shop};

/// The time limit for each single wait of a test.
const PATIENCE: Duration = Duration::from_secs(20);

/// A shop that listens, and its address.
pub struct Open {
    pub shop: Shop,
    address: SocketAddr,
}

/// The answer; `None` if the connection was closed without a byte.
pub type Reply = Option<(u16, String)>;

impl Open {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (shop, address) = (Shop::default(), listener.local_addr().unwrap());
        tokio::spawn(shop::serve(listener, shop.clone()));
        Self { shop, address }
    }

    /// Sends an HTTP request and leaves the connection open.
    async fn send(&self, method: &str, path: &str, key: Option<&str>, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let key = key
            .map(|key| format!("Idempotency-Key: {key}\r\nSaga-Attempt: 3\r\n"))
            .unwrap_or_default();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Length: \
             {length}\r\n{key}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    pub async fn ask(&self, method: &str, path: &str, key: Option<&str>, body: &str) -> Reply {
        let mut stream = self.send(method, path, key, body).await;
        let mut reply = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut reply)).await.unwrap().unwrap();
        if reply.is_empty() {
            return None;
        }
        let status = reply.split(' ').nth(1).unwrap().parse().unwrap();
        Some((status, reply))
    }

    pub async fn charge(&self, key: &str, body: &Value) -> Reply {
        self.ask("POST", "/payments/charges", Some(key), &body.to_string()).await
    }

    async fn get(&self, path: &str) -> Value {
        let (status, reply) = self.ask("GET", path, None, "").await.unwrap();
        assert_eq!(status, 200, "{reply}");
        serde_json::from_str(reply.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    }

    pub fn kinds(&self) -> Vec<Kind> {
        self.shop.entries(None).iter().map(|entry| entry.kind).collect()
    }
}

pub fn status(reply: &Reply) -> u16 {
    reply.as_ref().expect("an answer").0
}

#[tokio::test]
async fn every_service_does_and_undoes() {
    let open = Open::start().await;
    for (number, service) in shop::SERVICES.iter().enumerate() {
        let done = open
            .ask("POST", service.act, Some(&format!("order/step-{number}/action/0")), "any body")
            .await;
        assert_eq!(status(&done), 201, "{done:?}");
        let undone = open
            .ask("POST", service.undo, Some(&format!("order/step-{number}/compensation/0")), "")
            .await;
        assert_eq!(status(&undone), 200, "{undone:?}");
    }
    let summary = open.shop.summary("order");
    assert_eq!((summary.done.len(), summary.undone.len(), summary.in_effect.len()), (7, 7, 0));
    assert!(summary.faults.is_empty());
}

#[tokio::test]
async fn without_a_key_nothing_is_done() {
    let open = Open::start().await;
    assert_eq!(status(&open.ask("POST", "/mail/messages", None, "hello").await), 400);
    assert_eq!(status(&open.ask("POST", "/mail/messages", Some("hello"), "hello").await), 400);
    assert_eq!(open.kinds(), []);
}

#[tokio::test]
async fn the_ledger_can_be_read_and_reset_by_scope() {
    let open = Open::start().await;
    open.charge("order-1/charge/action/0", &json!({"amount": 1})).await;
    open.charge("order-2/charge/action/0", &json!({"amount": 2})).await;
    let entries = open.get("/ledger?scope=order-2").await;
    assert_eq!(entries.as_array().unwrap().len(), 1);
    let entry = &entries[0];
    assert_eq!(
        (&entry["kind"], &entry["service"], &entry["attempt"]),
        (&json!("done"), &json!("payments"), &json!("3"))
    );
    assert_eq!((&entry["key"], &entry["sequence"]), (&json!("order-2/charge/action/0"), &json!(2)));
    // The demonstration compares this text as it is, so the order of the fields matters too.
    let (_, reply) = open.ask("GET", "/ledger/summary?scope=order-2", None, "").await.unwrap();
    let expected = concat!(
        r#"{"order-2":{"done":["charge"],"undone":[],"inEffect":["charge"],"#,
        r#""doneTwice":[],"refused":[],"faults":[]}}"#
    );
    assert!(reply.ends_with(expected), "{reply}");
    assert_eq!(status(&open.ask("DELETE", "/ledger?scope=order-2", None, "").await), 204);
    assert_eq!(
        open.get("/ledger/summary").await.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["order-1"]
    );
    assert_eq!(status(&open.ask("GET", "/ledger?of=order-2", None, "").await), 400);
    assert_eq!(status(&open.ask("GET", "/nowhere", None, "").await), 404);
    assert_eq!(status(&open.ask("GET", "/healthz", None, "").await), 200);
}

#[tokio::test]
async fn work_whose_answer_is_lost_is_done_once_and_answered_to_the_next_who_asks() {
    let open = Open::start().await;
    open.shop.behave(&json!([{"then": [{"closeAfterWork": true}]}])).unwrap();
    assert_eq!(open.charge("order/charge/action/0", &json!({"amount": 1})).await, None);
    assert_eq!(open.kinds(), [Kind::Done]);
    assert_eq!(status(&open.charge("order/charge/action/0", &json!({"amount": 1})).await), 201);
    assert_eq!(open.kinds(), [Kind::Done, Kind::Repeat]);
}

#[tokio::test]
async fn silence_before_the_work_does_nothing() {
    let open = Open::start().await;
    open.shop.behave(&json!([{"then": [{"closeBeforeWork": true}, {"hang": "20ms"}]}])).unwrap();
    assert_eq!(open.charge("order/charge/action/0", &json!({})).await, None);
    assert_eq!(open.charge("order/charge/action/0", &json!({})).await, None);
    assert_eq!(open.kinds(), [Kind::Refused, Kind::Refused]);
    assert_eq!(status(&open.charge("order/charge/action/0", &json!({})).await), 201);
}

#[tokio::test]
async fn a_call_that_hangs_is_in_the_ledger_at_once() {
    let open = Open::start().await;
    open.shop.behave(&json!([{"then": [{"hang": "60s"}]}])).unwrap();
    let _waiting = open.send("POST", "/payments/charges", Some("order/charge/action/0"), "").await;
    tokio::time::timeout(PATIENCE, open.shop.until(|entries| entries.len() == 1)).await.unwrap();
    assert_eq!(open.shop.entries(None)[0].note, "silent for 60s, then closed without an answer");
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_the_work() {
    let open = Open::start().await;
    open.shop.behave(&json!([{"then": [{"answer": 503}, {"delay": "100ms"}]}])).unwrap();
    open.charge("order/charge/action/0", &json!({})).await;
    drop(open.send("POST", "/payments/charges", Some("order/charge/action/0"), "{}").await);
    tokio::time::timeout(PATIENCE, open.shop.until(|entries| entries.len() == 2)).await.unwrap();
    assert_eq!(open.kinds(), [Kind::Refused, Kind::Done]);
}

#[tokio::test]
async fn the_ledger_file_gets_a_line_for_each_entry() {
    let path = std::env::temp_dir().join(format!("shop-ledger-{}.jsonl", std::process::id()));
    let shop = Shop::with_ledger_file(&path).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let open = Open { shop: shop.clone(), address: listener.local_addr().unwrap() };
    tokio::spawn(shop::serve(listener, shop));
    open.charge("order/charge/action/0", &json!({})).await;
    open.charge("order/charge/action/0", &json!({})).await;
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let kinds: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].clone())
        .collect();
    assert_eq!(kinds, ["done", "repeat"]);
}
