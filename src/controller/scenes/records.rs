//! Writes to a saga change only what belongs to the operator.

use super::*;
use crate::{
    api::names::FINALIZER,
    controller::record::record,
    model::plan::{Finalizer, Plan},
};

#[tokio::test]
async fn the_finalizers_of_others_stay_whatever_becomes_of_ours() {
    let scene = Scene::new();
    let mut saga = saga(&by_pod(), &Value::Null);
    let mut written = Vec::new();
    for (before, finalizer) in [
        (json!(["a.dev/keep", FINALIZER, "b.dev/keep"]), Finalizer::Remove),
        (json!([FINALIZER]), Finalizer::Remove),
        (json!(["a.dev/keep"]), Finalizer::Add),
        (json!(null), Finalizer::Add),
        (json!(["a.dev/keep"]), Finalizer::Keep),
    ] {
        saga["metadata"]["finalizers"] = before;
        let mut plan = Plan::nothing();
        plan.finalizer = finalizer;
        assert!(record(&scene.context.parts(), &stored(&saga), plan).await.unwrap().is_some());
        written = scene.server.asked(&Method::PATCH);
    }
    let metadata: Vec<_> = written.iter().map(|asked| asked.body["metadata"].clone()).collect();
    let expected = [
        json!(["a.dev/keep", "b.dev/keep"]),
        json!([]),
        json!(["a.dev/keep", FINALIZER]),
        json!([FINALIZER]),
    ];
    assert_eq!(
        metadata,
        expected.map(|finalizers| json!({"resourceVersion": "7", "finalizers": finalizers}))
    );
}
