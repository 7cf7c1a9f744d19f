#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Instant;

use serde_json::json;

use super::{
    super::cluster::{refusal::Unserved, secrets::Kind},
    *,
};
use crate::{
    controller::{
        limits::breakers::MOST,
        memory::prechecks::{BELIEVED_AFTER, Prechecks},
    },
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
    let Precheck { refused, unchecked } = judged(&same, &verdicts, Vec::new());
    let refused: Vec<_> = refused.iter().map(ToString::to_string).collect();
    assert_eq!(
        (refused, unchecked),
        (
            vec!["spec.steps[0].http: no secret".to_owned()],
            vec!["spec.steps[2].http (no secret)".to_owned()]
        )
    );
}

#[test]
fn each_of_many_refused_sagas_is_believed_in_its_turn_and_is_forgotten_once_it_is_gone() {
    let prechecks = Prechecks::default();
    let sagas: Vec<_> = (0..3 * MOST).map(|number| number.to_string()).collect();
    for saga in &sagas {
        assert!(
            !prechecks.is_believed(saga, true),
            "what it needs may have been created together with it"
        );
    }
    let long_ago = Instant::now().checked_sub(BELIEVED_AFTER).unwrap();
    prechecks.refused.lock().unwrap().values_mut().for_each(|since| *since = long_ago);
    assert!(sagas.iter().all(|saga| prechecks.is_believed(saga, true)), "each of them is told");
    prechecks.forget(|saga| saga == "7");
    assert_eq!(prechecks.refused.lock().unwrap().len(), 1);
    assert!(prechecks.is_believed("7", true) && !prechecks.is_believed("8", true));
}
