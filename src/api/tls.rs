//! The certificate authorities that a request over TLS trusts.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::env::{ConfigMapKey, SecretKey};

/// How the service of a request proves its identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpTls {
    /// The only certificate authorities that this request trusts, instead of those of the operator.
    pub ca: CaSource,
}

/// The source of certificates in PEM format. The operator reads it at each attempt, as the saga's
/// ServiceAccount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretKeyRef) != has(self.configMapKeyRef)")
    .message("set exactly one of secretKeyRef and configMapKeyRef"))]
pub struct CaSource {
    /// A key of a Secret in the saga's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKey>,
    /// A key of a ConfigMap in the saga's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<ConfigMapKey>,
}
