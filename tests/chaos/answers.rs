//! The answers that a fault sends in place of the API server, and functions to change answers.

use std::io;

use http::{Response, StatusCode, header::RETRY_AFTER};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::Bytes;
use serde_json::{Value, json};
use tower::BoxError;

use crate::fault::Fault;

/// An answer of the API server.
pub type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// Returns the name of a saga.
pub fn name(saga: &Value) -> String {
    saga["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// Returns an item of a list in the form in which a watch delivers it.
pub fn typed(mut item: Value) -> Value {
    item["apiVersion"] = json!("saga.dev/v1alpha1");
    item["kind"] = json!("Saga");
    item
}

/// Removes the content length from the head of an answer whose body was changed.
pub fn without_length(mut head: http::response::Parts) -> http::response::Parts {
    head.headers.remove(http::header::CONTENT_LENGTH);
    head
}

/// Returns the error of a lost connection.
pub fn lost() -> BoxError {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection was lost by a fault").into()
}

/// Returns the refusal of a fault, in the form of an answer of the API server.
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
