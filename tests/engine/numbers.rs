//! How the API server reads and writes numbers, values that contain numbers, and expressions that
//! read such values.
//!
//! The model follows `sigs.k8s.io/json` and the `encoding/json` of Go, as far as numbers are
//! concerned. `tests/apiserver/numbers.rs` compares the model with a real API server.

use proptest::{prelude::*, sample::select};
use saga_operator::{
    api::StepStatus,
    expression::{
        scope::Scope,
        template::{Template, node::Form},
    },
};
use serde_json::{Map, Value, json};

/// A number as the API server holds it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Held {
    Integer(i64),
    Double(f64),
}

/// Reads a number as `convertNumber` does: an integer if the text is a 64-bit integer, otherwise a
/// double.
fn held(text: &str) -> Held {
    let integer = if text.contains(['.', 'e', 'E']) { None } else { text.parse().ok() };
    integer.map_or_else(|| Held::Double(text.parse().expect("a number")), Held::Integer)
}

/// Writes a number as `encoding/json` does: a double in its shortest digits, with an exponent only
/// if the double is very small or very large.
fn written(held: Held) -> String {
    match held {
        Held::Integer(integer) => integer.to_string(),
        Held::Double(double) if double != 0.0 && !(1e-6..1e21).contains(&double.abs()) => {
            format!("{double:e}")
        }
        Held::Double(double) => double.to_string(),
    }
}

/// Returns the value that is read back after this value was written.
pub fn stored(value: &Value) -> Value {
    match value {
        // The operator writes the number, etcd keeps it, and the API server reads it and writes it
        // to the operator.
        Value::Number(number) => {
            serde_json::from_str(&written(held(&written(held(&number.to_string())))))
                .expect("a number")
        }
        Value::Array(items) => items.iter().map(stored).collect(),
        Value::Object(fields) => Value::Object(
            fields.iter().map(|(name, value)| (name.clone(), stored(value))).collect(),
        ),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

/// Generates numbers as other programs write them, and numbers at the limits.
#[expect(clippy::cast_precision_loss, reason = "doubles of any size are wanted")]
fn number() -> impl Strategy<Value = Value> {
    let double = prop_oneof![
        any::<f64>(),
        (any::<i64>()).prop_map(|whole| whole as f64),
        (-1_000_000_i64..1_000_000).prop_map(|whole| whole as f64),
        (-1_000_000_i64..1_000_000).prop_map(|cents| cents as f64 / 100.0),
        (0_u32..80).prop_map(|power| 2_f64.powi(power.try_into().unwrap())),
        (0_u32..80, -2_i64..3)
            .prop_map(|(power, off)| -(2_f64.powi(power.try_into().unwrap()) + off as f64)),
        select(vec![
            0.0,
            -0.0,
            1e20,
            1e21,
            1e-6,
            1e-7,
            5e-324,
            f64::MAX,
            f64::MIN_POSITIVE,
            0.1 + 0.2
        ]),
    ];
    prop_oneof![
        4 => double
            .prop_filter("JSON has no word for it", |double| double.is_finite())
            .prop_map(|double| json!(double)),
        1 => any::<i64>().prop_map(|whole| json!(whole)),
        1 => any::<u64>().prop_map(|whole| json!(whole)),
        1 => select(vec![
            json!(i64::MAX), json!(i64::MIN), json!(u64::MAX), json!(i64::MAX as u64 + 1),
            json!(1_u64 << 53),
        ]),
        1 => "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,2})?"
            .prop_map(|text| serde_json::from_str(&text).unwrap()),
    ]
}

pub fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => number(),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => Just(Value::Null),
        1 => ".{0,8}".prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map("[a-c]{0,2}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Expressions that read a value in every way that could reveal its type.
pub const READERS: [&str; 28] = [
    "${steps.a.outputs.v}",
    "${steps.a.outputs}",
    "web-${steps.a.outputs.v}",
    "${string(steps.a.outputs.v)}",
    "${steps.a.outputs.v + 1}",
    "${steps.a.outputs.v + 0.5}",
    "${1.5 - steps.a.outputs.v}",
    "${steps.a.outputs.v * 2}",
    "${steps.a.outputs.v * 1.0}",
    "${steps.a.outputs.v / 3}",
    "${steps.a.outputs.v % 7}",
    "${7.5 % steps.a.outputs.v}",
    "${-steps.a.outputs.v}",
    "${steps.a.outputs.v == 100}",
    "${steps.a.outputs.v != 100.0}",
    "${steps.a.outputs.v < 2.5}",
    "${steps.a.outputs.v >= 9007199254740993}",
    "${steps.a.outputs.v in [1, 2.5, 100]}",
    "${[steps.a.outputs.v, 0.5].sum()}",
    "${[steps.a.outputs.v, 3].max()}",
    "${math.round(steps.a.outputs.v)}",
    "${int(steps.a.outputs.v)}",
    "${uint(steps.a.outputs.v)}",
    "${double(steps.a.outputs.v)}",
    "${steps.a.outputs.v.map(x, x)}",
    "${steps.a.outputs.v.filter(x, x == 1 || x == 'a')}",
    "${[[steps.a.outputs.v]] == [[100]] || {'k': steps.a.outputs.v} == {'k': 1.0}}",
    "${size(steps.a.outputs.v)}",
];

/// Returns the result of each expression of `READERS` for this value.
pub fn read(value: &Value) -> Vec<Result<Value, String>> {
    let params = Map::new();
    let steps = [StepStatus {
        name: "a".into(),
        outputs: json!({"v": value}).as_object().cloned(),
        ..StepStatus::default()
    }];
    let scope = Scope { steps: &steps, ..Scope::new(&params, [""; 3]) };
    let make = |text: &&str| {
        let mut faults = Vec::new();
        let template = Template::parse(
            json!({"leaf": text}).as_object().unwrap(),
            "at",
            |_| Form::Any,
            &mut faults,
        );
        assert!(faults.is_empty(), "{faults:?}");
        template.evaluate(&scope).map(|mut given| given["leaf"].take())
    };
    READERS.iter().map(make).collect()
}
