//! What is answered in the API server's place, and what its answers hold.

use std::io;

use http::{Response, StatusCode, header::RETRY_AFTER};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::Bytes;
use serde_json::{Value, json};
use tower::BoxError;

use crate::fault::Fault;

/// An answer of the API server.
pub type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// The name of a saga.
pub fn name(saga: &Value) -> String {
    saga["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// An item of a list as a watch brings it.
pub fn typed(mut item: Value) -> Value {
    item["apiVersion"] = json!("saga.dev/v1alpha1");
    item["kind"] = json!("Saga");
    item
}

/// The head of an answer whose body was changed.
pub fn without_length(mut head: http::response::Parts) -> http::response::Parts {
    head.headers.remove(http::header::CONTENT_LENGTH);
    head
}

/// The connection is gone.
pub fn lost() -> BoxError {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection was lost by a fault").into()
}

/// An answer as the API server gives it.
pub fn refusal(fault: Fault) -> Answer {
    let (code, reason) = fault.refusal().unwrap_or((500, "InternalError"));
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "a fault answers in the API server's place", "reason": reason, "code": code,
    });
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    if fault == Fault::TooMany {
        answer.headers_mut().insert(RETRY_AFTER, http::HeaderValue::from_static("1"));
    }
    answer
}
