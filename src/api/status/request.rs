//! What users asked of a saga, as the status records it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::RequestAction;

/// A pause that a person asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// Since when.
    pub at: MicroTime,
    /// Why; empty where no reason was given.
    #[schemars(length(max = 256))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Something a person asked for by annotation, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestRecord {
    /// 1, 2, … for ever within the saga.
    #[schemars(range(min = 1))]
    pub number: i64,
    /// What was asked for.
    pub action: RequestAction,
    /// The annotation's value, cut to 128 bytes, control characters replaced.
    #[schemars(length(max = 128))]
    pub value: String,
    /// 64 bits that stand for the whole value, in hexadecimal; others where it was refused because
    /// an applied manifest holds it.
    #[schemars(length(max = 16))]
    pub value_hash: String,
    /// The token; absent where the value had none, so that the annotation is taken away.
    #[schemars(length(max = 63))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// When it was handled.
    pub at: MicroTime,
    /// What came of it.
    pub result: RequestResult,
    /// What was done, or why nothing was and what is allowed.
    #[schemars(length(max = 512))]
    pub message: String,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RequestResult {
    /// It was done.
    Accepted,
    /// It was not allowed, or could not be understood.
    Refused,
    /// It stood on the saga from before its beginning.
    Ignored,
    /// What a later version may add: it was done, in another way.
    #[cfg(feature = "next")]
    Noted,
}

impl RequestResult {
    /// The result's word, as it stands in the status and in metrics.
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
