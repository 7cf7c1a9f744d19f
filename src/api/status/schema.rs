//! Schemas of the status that no type of this crate gives.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(super) const fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// Returns the schema of outputs: an object with any fields. Their size is checked when they are
/// read.
pub(super) fn outputs_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true, "maxProperties": 1024,
    })
}

/// The schema of a condition with the bounds of Go's own CRDs; the schema of k8s-openapi has none.
pub(super) struct ConditionSchema;

impl JsonSchema for ConditionSchema {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Condition".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {"type": "string", "maxLength": 316},
                "status": {"type": "string", "maxLength": 63},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "reason": {
                    "type": "string", "minLength": 1, "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {"type": "string", "maxLength": 32768},
            },
        })
    }
}
