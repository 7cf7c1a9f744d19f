//! Deletions whose answer is not read.
//!
//! # Guarantees
//! A deletion that the API server accepted is a success, whatever the answer holds. The answer may
//! be the object itself, and may be nested deeper than the parser allows.

use kube::{Client, Resource, api::DeleteParams, core::Request};

/// Deletes an object of a namespace.
///
/// # Errors
/// If the API server refused the deletion, or did not answer.
pub(in crate::controller) async fn delete<K: Resource<DynamicType = ()>>(
    client: &Client,
    namespace: &str,
    name: &str,
    how: &DeleteParams,
) -> Result<(), kube::Error> {
    let request = Request::new(K::url_path(&(), Some(namespace))).delete(name, how);
    client.request_text(request.map_err(kube::Error::BuildRequest)?).await.map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::convert::Infallible;

    use http::{Method, Response};
    use k8s_openapi::api::core::v1::Pod;
    use kube::client::Body;

    use super::*;

    #[tokio::test]
    async fn a_deletion_that_was_accepted_is_done_however_deep_the_answer_is() {
        let deep = format!("{}{}", r#"{"a":"#.repeat(200), "1") + &"}".repeat(200);
        let service = tower::service_fn(move |request: http::Request<Body>| {
            assert_eq!(
                (request.method(), request.uri().path()),
                (&Method::DELETE, "/api/v1/namespaces/shop/pods/a")
            );
            let answer = Response::new(Body::from(deep.clone().into_bytes()));
            std::future::ready(Ok::<_, Infallible>(answer))
        });
        let client = Client::new(service, "default");
        delete::<Pod>(&client, "shop", "a", &DeleteParams::background()).await.unwrap();
    }
}
