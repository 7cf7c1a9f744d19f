#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    super::cluster::{refusal::Unserved, secrets::Kind},
    *,
};
use crate::{
    model::{input::MayProvide, saga::SagaName},
    validate::saga::validate,
};

const NOTHING: MayProvide = MayProvide { objects: false, secrets: false, places: false };

fn is_refused(verdict: &PrecheckVerdict) -> bool {
    matches!(verdict, PrecheckVerdict::Refused(..))
}

#[test]
fn only_what_no_earlier_step_can_mend_is_refused() {
    // What is wrong, and what of earlier steps leaves it unchecked.
    let table = [
        (Refused::Malformed, MayProvide { objects: true, ..NOTHING }),
        (Refused::Forbidden, MayProvide { objects: true, ..NOTHING }),
        (Refused::Nowhere, MayProvide { places: true, ..NOTHING }),
    ];
    for (wrong, provided) in table {
        let tried =
            |may_provide| of_refusal(ApiRefusal::Final(wrong, "no".into())).after(may_provide);
        assert!(is_refused(&tried(NOTHING)), "{wrong:?}");
        assert_eq!(tried(provided), PrecheckVerdict::Unchecked("no".into()), "{wrong:?}");
    }
    let others = MayProvide { objects: true, secrets: true, places: false };
    assert!(
        is_refused(&of_refusal(ApiRefusal::Final(Refused::Nowhere, "no".into())).after(others)),
        "its namespace is made by none of them"
    );
}

#[test]
fn what_may_be_otherwise_by_then_is_unchecked() {
    let no = || "no".to_owned();
    for trouble in [
        ApiRefusal::Final(Refused::Otherwise, no()),
        ApiRefusal::Final(Refused::NoDryRun, no()),
        ApiRefusal::Final(Refused::TooLarge, no()),
        ApiRefusal::NoKind(Unserved::Anywhere, no()),
        ApiRefusal::Passes(no()),
        ApiRefusal::Lost(no()),
    ] {
        let verdict = of_refusal(trouble.clone()).after(NOTHING);
        assert!(matches!(verdict, PrecheckVerdict::Unchecked(_)), "{trouble:?} {verdict:?}");
    }
}

#[test]
fn a_missing_secret_is_refused_where_no_earlier_step_can_make_it() {
    let (kind, name, namespace) = (Kind::Secret, String::from("payments"), String::from("shop"));
    let no_object =
        SecretError::NoObject { kind, name: name.clone(), namespace: namespace.clone() };
    let no_key = SecretError::NoKey {
        kind,
        name: name.clone(),
        namespace: namespace.clone(),
        key: "token".into(),
    };
    let forbidden = SecretError::Forbidden { kind, account: "a".into(), name, namespace };
    let (secrets, objects) =
        (MayProvide { secrets: true, ..NOTHING }, MayProvide { objects: true, ..NOTHING });
    for (error, provided, keeps) in
        [(no_object, secrets, objects), (no_key, secrets, objects), (forbidden, objects, secrets)]
    {
        for may_provide in [NOTHING, keeps, MayProvide { places: true, ..NOTHING }] {
            assert!(
                is_refused(&of_secret(Err(error.clone())).after(may_provide)),
                "{error} {may_provide:?}"
            );
        }
        assert_eq!(
            of_secret(Err(error.clone())).after(provided),
            PrecheckVerdict::Unchecked(error.to_string())
        );
    }
    assert_eq!(of_secret(Ok(())), PrecheckVerdict::Fine);
}

#[test]
fn what_is_tried_once_is_judged_wherever_it_stands() {
    let token = json!([
        {"name": "X-Key", "valueFrom": {"secretKeyRef": {"name": "payments", "key": "token"}}},
    ]);
    let asks = |name: &str| {
        json!({
            "name": name, "http": {"method": "POST", "url": "http://a.svc/b", "headers": token},
        })
    };
    let spec =
        json!({"steps": [asks("before"), {"name": "makes", "pod": {"image": "a"}}, asks("after")]});
    let who = SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() };
    let (found, _) = probes(&validate(&who, &serde_json::from_value(spec).unwrap()).unwrap());
    let verdicts = BTreeMap::from([(
        "true".to_owned(),
        PrecheckVerdict::Refused(FixedBy::Secrets, "no secret".into()),
    )]);
    // By whether it is a request: the two are the same one.
    let same: Vec<_> = found
        .into_iter()
        .map(|probe| (matches!(probe.work, Work::Http(_)).to_string(), probe))
        .collect();
    let Precheck { refused, untried, unchecked, again } =
        SoFar { verdicts, ..SoFar::default() }.judged(&same, Vec::new());
    let refused: Vec<_> = refused.iter().map(ToString::to_string).collect();
    assert_eq!(
        (refused, unchecked),
        (
            vec!["spec.steps[0].http: no secret".to_owned()],
            vec!["spec.steps[2].http (no secret)".to_owned()]
        )
    );
    assert_eq!((untried, again), (1, None), "the pod has no verdict");
}

/// Returns the operations of a saga of these steps, each under its path.
fn operations(steps: &serde_json::Value) -> Vec<(String, Probe)> {
    let who = SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() };
    let spec = serde_json::from_value(json!({"params": {"ttl": 5}, "steps": steps})).unwrap();
    let (found, _) = probes(&validate(&who, &spec).unwrap());
    found.into_iter().map(|probe| (probe.path.clone(), probe)).collect()
}

#[test]
fn a_refused_saga_is_tried_until_so_many_operations_are_not_fine() {
    let steps: Vec<_> = (0..30)
        .map(|step| json!({"name": format!("s{step}"), "pod": {"image": format!("a:{step}")}}))
        .collect();
    let operations = operations(&json!(steps));
    let no = || PrecheckVerdict::Refused(FixedBy::Nothing, "no".into());
    let unclear = || PrecheckVerdict::Unchecked("later".into());
    let mut so_far = SoFar::default();
    assert_eq!(so_far.left(&operations).len(), 30);
    for (hash, _) in &operations[..5] {
        so_far.note(&operations, hash, PrecheckVerdict::Fine);
    }
    for (hash, _) in &operations[5..24] {
        so_far.note(&operations, hash, unclear());
    }
    assert!(so_far.goes_on(0) && !so_far.goes_on(1), "the one under way may be the last one");
    so_far.note(&operations, &operations[24].0, unclear());
    assert!(so_far.goes_on(3), "nothing refuses the saga yet, so it may still be accepted");
    assert_eq!(so_far.left(&operations).len(), 5);
    so_far.note(&operations, &operations[25].0, no());
    assert!(!so_far.goes_on(0));
    assert_eq!(so_far.judged(&operations, Vec::new()).untried, 4);
}

#[test]
fn what_an_earlier_step_may_mend_ends_no_trial() {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let mut steps = vec![json!({"name": "first", "apply": {"manifest": map}})];
    steps
        .extend((0..30).map(
            |step| json!({"name": format!("s{step}"), "pod": {"image": format!("a:{step}")}}),
        ));
    let operations = operations(&json!(steps));
    let mut so_far = SoFar::default();
    for (hash, _) in &operations[1..] {
        let forbidden = PrecheckVerdict::Refused(FixedBy::Objects, "no".into());
        so_far.note(&operations, hash, forbidden);
        assert!(so_far.goes_on(0));
    }
}

#[test]
fn every_fault_that_needs_no_call_is_told_and_leaves_room_for_the_refusals_of_the_api_server() {
    // The expression keeps the validation from seeing the value.
    let mut steps: Vec<_> = (0..25)
        .map(|step| {
            let pod = json!({"containers": [{"name": "a", "image": format!("a:{step}")}]});
            let ttl = "${params.ttl}";
            let spec = json!({"ttlSecondsAfterFinished": ttl, "template": {"spec": pod}});
            json!({"name": format!("j{step}"), "job": {"spec": spec}})
        })
        .collect();
    steps.push(json!({"name": "pod", "pod": {"image": "a"}}));
    let operations = operations(&json!(steps));
    let mut so_far = SoFar::default();
    let left = so_far.left(&operations);
    assert_eq!(
        (left.len(), so_far.troubles, so_far.refuses),
        (1, 0, true),
        "{:?}",
        so_far.verdicts
    );
    assert!(so_far.goes_on(0));
    assert_eq!(so_far.judged(&operations, Vec::new()).refused.len(), 25);
}
