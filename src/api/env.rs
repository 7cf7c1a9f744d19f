//! The schemas of the Kubernetes types that a pod action embeds: its environment.
//!
//! # Guarantees
//! Every string has a bound, which Kubernetes' own schemas lack, and what the API server would
//! refuse in the pod is refused in the saga. The fields are those of Kubernetes 1.33, the lowest
//! version supported.

use kube::KubeSchema;
use serde::Deserialize;
use serde::Serialize;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// The maximum length of one argument or one value of a container. Linux allows four times as much.
const MAX_TEXT: u32 = 32_768;
/// The maximum length of the name of a Kubernetes object, and of a key in the object.
const MAX_NAME: u32 = 253;

/// The schema of one argument of a container.
pub(super) struct ArgumentSchema;

/// The schema of [`k8s_openapi::api::core::v1::EnvVar`].
pub(super) struct EnvVarSchema;

/// The schema of [`k8s_openapi::api::core::v1::EnvFromSource`].
pub(super) struct EnvFromSchema;

impl JsonSchema for ArgumentSchema {
    fn schema_name() -> Cow<'static, str> {
        "Argument".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": MAX_TEXT})
    }
}

impl JsonSchema for EnvVarSchema {
    fn schema_name() -> Cow<'static, str> {
        "EnvVar".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One environment variable, as in a Pod.",
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {
                    "description": "The name of the variable.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": MAX_NAME,
                    "x-kubernetes-validations": [{
                        "rule": "!self.startsWith('SAGA_')",
                        "message": "names that begin with SAGA_ are set by the operator: choose \
                         another name",
                    }],
                },
                "value": text("The literal value. Default: empty.", 0, MAX_TEXT),
                "valueFrom": sources(),
            },
            "x-kubernetes-validations": [{
                "rule": "!has(self.valueFrom) || !has(self.value) || self.value == ''",
                "message": "set value or valueFrom, not both",
            }],
        })
    }
}

impl JsonSchema for EnvFromSchema {
    fn schema_name() -> Cow<'static, str> {
        "EnvFrom".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let object = |kind: &str| {
            json!({
                "description": format!("All entries of a {kind} in the saga's namespace."),
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": text(&format!("The name of the {kind}."), 1, MAX_NAME),
                    "optional": flag(&format!("Whether the container starts even if the {kind} \
                     does not exist.")),
                },
            })
        };
        json_schema!({
            "description": "One ConfigMap or Secret whose entries become environment variables.",
            "type": "object",
            "properties": {
                "prefix": text("A prefix of the name of every variable.", 0, MAX_NAME),
                "configMapRef": object("ConfigMap"),
                "secretRef": object("Secret"),
            },
            "x-kubernetes-validations": [{
                "rule": "has(self.configMapRef) != has(self.secretRef)",
                "message": "set exactly one of configMapRef and secretRef",
            }],
        })
    }
}

/// Returns the schema of the source of a variable's value.
fn sources() -> Value {
    let key_of = |kind: &str| {
        json!({
            "description": format!("One key of a {kind} in the saga's namespace."),
            "type": "object",
            "required": ["name", "key"],
            "properties": {
                "name": text(&format!("The name of the {kind}."), 1, MAX_NAME),
                "key": text(&format!("The key in the data of the {kind}."), 1, MAX_NAME),
                "optional": flag(&format!("Whether the container starts even if the {kind} or \
                 the key does not exist.")),
            },
        })
    };
    json!({
        "description": "The source of the value, which is read when the container starts.",
        "type": "object",
        "properties": {
            "configMapKeyRef": key_of("ConfigMap"),
            "secretKeyRef": key_of("Secret"),
            "fieldRef": {
                "description": "A field of the pod, such as metadata.name or status.hostIP.",
                "type": "object",
                "required": ["fieldPath"],
                "properties": {
                    "apiVersion": text("The API version of fieldPath. Default: v1.", 0, 63),
                    "fieldPath": text("The path of the field.", 1, 512),
                },
            },
            "resourceFieldRef": {
                "description": "A request or limit of the container, such as limits.memory.",
                "type": "object",
                "required": ["resource"],
                "properties": {
                    "containerName": text("The name of the container. Default: this \
                     container.", 0, 63),
                    "divisor": {
                        "description": "The unit of the value. Default: 1.",
                        "maxLength": 63,
                        "x-kubernetes-int-or-string": true,
                    },
                    "resource": text("The name of the request or limit.", 1, MAX_NAME),
                },
            },
        },
        "x-kubernetes-validations": [{
            "rule": "[has(self.configMapKeyRef), has(self.secretKeyRef), has(self.fieldRef), \
             has(self.resourceFieldRef)].filter(x, x).size() == 1",
            "message": "set exactly one of configMapKeyRef, secretKeyRef, fieldRef and \
             resourceFieldRef",
        }],
    })
}

fn text(description: &str, min: u32, max: u32) -> Value {
    json!({"description": description, "type": "string", "minLength": min, "maxLength": max})
}

fn flag(description: &str) -> Value {
    json!({"description": description, "type": "boolean"})
}

/// One key of a Secret in the saga's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// The name of the Secret.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$')")
        .message("must be the name of a Secret: lower-case letters, digits, dashes and dots, such \
            as payments"))]
    pub name: String,
    /// The key in the data of the Secret.
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
    /// The name of the ConfigMap.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$')")
        .message("must be the name of a ConfigMap: lower-case letters, digits, dashes and dots, \
            such as shop-ca"))]
    pub name: String,
    /// The key in the data of the ConfigMap.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._A-Za-z0-9]+$')")
        .message("must be a key of a ConfigMap: letters, digits, dashes, dots and underscores, \
            such as ca.crt"))]
    pub key: String,
}
