//! Tests of the numbers in a status: which of them the API server returns as another number, and
//! the results of expressions over both.

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use saga_operator::api::json::as_stored;
use serde_json::{Value, json};

use crate::support::{Effect, FreshNamespace, fresh_namespace};

#[path = "../engine/numbers.rs"]
mod model;

async fn with_saga(prefix: &str) -> FreshNamespace {
    let namespace = fresh_namespace(prefix).await;
    let steps = json!([{"name": "a", "pod": {"image": "busybox"}}]);
    let saga = json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "metadata": {"name": "order"},
        "spec": {"steps": steps},
    });
    namespace.create(&saga, Effect::Real).await.unwrap();
    namespace
}

/// Writes these values as the outputs of a step, and reads them back.
async fn round_trip(namespace: &FreshNamespace, values: &[Value]) -> Vec<Value> {
    let status = json!({"steps": [{"name": "a", "phase": "Completed", "outputs": {"v": values}}]});
    namespace.write_status("order", &status).await.unwrap();
    let read = namespace.get("order").await.unwrap();
    read["status"]["steps"][0]["outputs"]["v"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_come_back_as_the_operator_makes_them() {
    let namespace = with_saga("numbers").await;
    let texts = [
        "100.0",
        "100.5",
        "100",
        "-0.0",
        "-0",
        "1e3",
        "1E-3",
        "9007199254740993",
        "9007199254740993.0",
        "9223372036854774784.0",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775808.0",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "123456789012345678901234567890",
        "1e20",
        "1e21",
        "1.5e300",
        "1e-6",
        "1e-7",
        "5e-324",
        "1e-400",
        "0.1",
        "0.30000000000000004",
        "36.600000000000001421",
    ];
    let values: Vec<Value> = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let read = round_trip(&namespace, &values).await;
    for ((text, value), read) in texts.into_iter().zip(values).zip(read) {
        assert_eq!(read, model::stored(&value), "{text}: the model is wrong");
        assert_eq!(as_stored(value), read, "{text}");
    }
}

/// For any JSON value, an expression has the same result before the value is written and after it
/// is read.
#[tokio::test(flavor = "multi_thread")]
async fn any_value_reads_the_same_before_a_write_and_after() {
    let namespace = with_saga("values").await;
    let (mut runner, strategy) = (TestRunner::default(), model::value());
    for _ in 0..12 {
        let values: Vec<Value> =
            (0..200).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
        let read = round_trip(&namespace, &values).await;
        assert_eq!(read.len(), values.len());
        for (value, read) in values.iter().zip(&read) {
            assert_eq!(*read, model::stored(value), "{value}: the model is wrong");
            assert_eq!(as_stored(value.clone()), *read, "{value}");
            for ((before, after), text) in
                model::read(value).into_iter().zip(model::read(read)).zip(model::READERS)
            {
                assert_eq!(before, after, "{text}: {value}");
            }
        }
        // A value that the operator has converted is not changed by a write.
        let taken: Vec<Value> = values.into_iter().map(as_stored).collect();
        assert_eq!(round_trip(&namespace, &taken).await, taken);
    }
}
