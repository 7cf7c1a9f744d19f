//! What users asked of a saga, as the status records it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::RequestAction;

/// A pause that a user asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// When the saga was paused.
    pub at: MicroTime,
    /// The reason. Empty if the user gave none.
    #[schemars(length(max = 256))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A request that a user made by annotation, and its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestRecord {
    /// The number of the request: 1, 2, … within the saga, never reset.
    #[schemars(range(min = 1))]
    pub number: i64,
    /// What the user asked for.
    pub action: RequestAction,
    /// The value of the annotation, cut to 128 bytes. Control characters are replaced.
    #[schemars(length(max = 128))]
    pub value: String,
    /// A 64-bit hash of the whole value, in hexadecimal. The hash is a different one if the request
    /// was refused because an applied manifest holds the value.
    #[schemars(length(max = 16))]
    pub value_hash: String,
    /// The token of the value. Absent if the value had none; the annotation is then removed.
    #[schemars(length(max = 63))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// When the request was handled.
    pub at: MicroTime,
    /// The result of the request: Accepted (the request was carried out), Refused (the request was
    /// not allowed, or could not be parsed) or Ignored (the annotation was on the saga before the
    /// saga was accepted).
    pub result: RequestResult,
    /// What the request did, or why it did nothing and when it is allowed.
    #[schemars(length(max = 512))]
    pub message: String,
}

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RequestResult {
    /// The request was carried out.
    Accepted,
    /// The request was not allowed, or could not be parsed.
    Refused,
    /// The annotation was on the saga before the saga was accepted.
    Ignored,
    /// What a later version may add: the request was carried out in another way.
    #[cfg(feature = "next")]
    Noted,
}

impl RequestResult {
    /// Returns the name of the result, as in the status and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Refused => "Refused",
            Self::Ignored => "Ignored",
            #[cfg(feature = "next")]
            Self::Noted => "Noted",
        }
    }
}
