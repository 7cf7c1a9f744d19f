//! JSON as the API server returns it.
//!
//! The API server changes numbers. It holds a number as a signed integer of 64 bits if the text of
//! the number is such an integer, and as a double otherwise. It writes a double in its shortest
//! digits, without a fraction if there is none. So `100.0` is read back as `100`, and a value that
//! was computed from `100.0` would differ at the next reconcile. Every value is therefore converted
//! to its stored form before anything is computed from it.
//!
//! # Guarantees
//! The result of [`as_stored`] is read back from the API server unchanged, and `as_stored` does not
//! change it any more. The keys of an object are in the order of their bytes, as `serde_json` keeps
//! them and the API server writes them.

use serde_json::{Map, Number, Value};

/// How deep outputs may be nested: far less than the parser of the status allows.
pub const MAX_OUTPUT_DEPTH: usize = 32;
/// 2^64: no integer of 64 bits is this large.
const BEYOND: f64 = 18_446_744_073_709_551_616.0;

/// Returns the value that the API server returns for this value.
#[must_use]
pub fn as_stored(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(number_as_stored(&number)),
        Value::Array(items) => items.into_iter().map(as_stored).collect(),
        Value::Object(fields) => Value::Object(fields_as_stored(fields)),
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

/// Returns the fields that the API server returns for these fields of an object.
#[must_use]
pub fn fields_as_stored(fields: Map<String, Value>) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name, as_stored(value))).collect()
}

/// Returns the number that the API server returns for this number.
#[must_use]
pub fn number_as_stored(number: &Number) -> Number {
    match (number.as_i64(), number.as_f64()) {
        (Some(integer), _) => integer.into(),
        (None, Some(double)) => {
            whole(double).or_else(|| Number::from_f64(double)).unwrap_or_else(|| number.clone())
        }
        (None, None) => number.clone(),
    }
}

/// Returns a double without a fraction as it is read back: an integer, if its digits fit into 64
/// bits. The digits are the shortest ones, as the API server writes them. From 2^53 on, they may
/// name another integer than the value of the double.
#[must_use]
pub fn whole(double: f64) -> Option<Number> {
    if double.fract() != 0.0 || double.abs() >= BEYOND {
        return None;
    }
    let digits = double.to_string();
    digits
        .parse::<i64>()
        .map(Number::from)
        .or_else(|_| digits.parse::<u64>().map(Number::from))
        .ok()
}

/// Returns how deep a value is nested; 1 for a number or a text. The parser bounds the recursion.
#[must_use]
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => depth_of_fields(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

/// Returns how deep an object with these fields is nested.
#[must_use]
pub fn depth_of_fields(fields: &Map<String, Value>) -> usize {
    1 + fields.values().map(depth).max().unwrap_or_default()
}

/// Returns the fields of the JSON object in a text; `None` if the text holds none. For an object
/// that is nested deeper than the parser allows, returns fields that are nested deeper than outputs
/// may be: the author meant to write outputs, so a message says that they were not accepted.
#[must_use]
pub fn read_fields(text: &str) -> Option<Map<String, Value>> {
    let is_too_deep =
        |error: &serde_json::Error| error.to_string().starts_with("recursion limit exceeded");
    let too_deep = || (0..MAX_OUTPUT_DEPTH).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    match serde_json::from_str(text) {
        Ok(fields) => Some(fields),
        Err(error) if is_too_deep(&error) && text.starts_with('{') => {
            Some([("…".to_owned(), too_deep())].into_iter().collect())
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::json;

    use super::*;

    fn stored(text: &str) -> Value {
        as_stored(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn whole_doubles_are_integers_and_all_else_stays_what_it_is() {
        for (text, expected) in [
            ("100.0", json!(100)),
            ("100.5", json!(100.5)),
            ("-0.0", json!(0)),
            ("-0", json!(0)),
            ("0.1", json!(0.1)),
            ("1e3", json!(1000)),
            ("-49e-1", json!(-4.9)),
            ("9007199254740993", json!(9_007_199_254_740_993_i64)),
            ("9007199254740993.0", json!(9_007_199_254_740_992_i64)),
            // Its shortest digits: the double itself is 9223372036854774784.
            ("9223372036854774784.0", json!(9_223_372_036_854_775_000_i64)),
            ("9223372036854775807", json!(i64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            // A double to the API server; our own parser reads its digits as an unsigned integer.
            ("9223372036854775808", json!(9_223_372_036_854_776_000_u64)),
            ("1.2345678901234567e19", json!(12_345_678_901_234_567_000_u64)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615.0)),
            ("-9223372036854775808.0", json!(-9_223_372_036_854_775_808.0)),
            ("1e20", json!(1e20)),
            ("1e300", json!(1e300)),
            ("5e-324", json!(5e-324)),
            ("1e-400", json!(0)),
        ] {
            assert_eq!(stored(text), expected, "{text}");
            assert_eq!(as_stored(expected.clone()), expected, "{text}, once more");
        }
    }

    #[test]
    fn what_is_within_lists_and_objects_is_no_exception() {
        assert_eq!(
            stored(r#"{"b": [1.0, {"c": 2.0}], "a": "1.0"}"#),
            json!({"a": "1.0", "b": [1, {"c": 2}]})
        );
    }

    #[test]
    fn an_object_too_deep_to_be_read_is_too_deep_to_be_taken() {
        let nested =
            |depth: usize| format!(r#"{{"a": {}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
        for depth in [31, 100, 126, 127, 1000, 2000] {
            assert!(
                depth_of_fields(&read_fields(&nested(depth)).unwrap()) > MAX_OUTPUT_DEPTH,
                "{depth}"
            );
        }
        assert_eq!(depth_of_fields(&read_fields(&nested(30)).unwrap()), MAX_OUTPUT_DEPTH);
        for none in ["", "done", "[1]", &"[".repeat(2000), r#"{"a": "#] {
            assert_eq!(read_fields(none), None, "{none}");
        }
    }

    #[test]
    fn depth_counts_the_value_itself() {
        assert_eq!((depth(&json!(1)), depth(&json!([])), depth(&json!({"a": [{}, 1]}))), (1, 1, 3));
    }
}
