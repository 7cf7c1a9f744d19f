//! Where a value comes from that no saga holds itself: one entry of a Secret or of a ConfigMap.

use kube::KubeSchema;
use serde::Deserialize;
use serde::Serialize;

/// One key of a Secret in the saga's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// The Secret's name.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$')")
        .message("must be the name of a Secret: lower-case letters, digits, dashes and dots, such \
            as payments"))]
    pub name: String,
    /// The key in the Secret's data.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._A-Za-z0-9]+$')")
        .message("must be a key of a Secret: letters, digits, dashes, dots and underscores, such \
            as token"))]
    pub key: String,
}

/// One key of a ConfigMap in the saga's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKey {
    /// The ConfigMap's name.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$')")
        .message("must be the name of a ConfigMap: lower-case letters, digits, dashes and dots, \
            such as shop-ca"))]
    pub name: String,
    /// The key in the ConfigMap's data.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._A-Za-z0-9]+$')")
        .message("must be a key of a ConfigMap: letters, digits, dashes, dots and underscores, \
            such as ca.crt"))]
    pub key: String,
}
