//! stub
use crate::{
    api::{HttpAction, names::sha256_hex},
    engine::saga::Identity,
};
/// stub
pub struct HttpRequest(String);
/// stub
pub fn request(action: &HttpAction, _: &Identity) -> HttpRequest {
    HttpRequest(serde_json::to_string(action).unwrap())
}
/// stub
pub fn request_hash(request: &HttpRequest) -> String {
    sha256_hex(&[&request.0])
}
