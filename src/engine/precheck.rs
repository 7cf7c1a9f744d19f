//! Finds operations that can be tried before the first step runs, so that a saga with a mistake in
//! its last step does not have to be undone.
//!
//! # Guarantees
//! Only operations whose values are known are tried. An operation that reads outputs of steps is
//! not tried before it runs, and is reported as unchecked. An operation inside a child saga is
//! tried as the child would perform it.

use std::sync::Arc;
#[cfg(feature = "operator")]
use std::time::Duration;

#[cfg(feature = "operator")]
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api::{
        Direction, SagaAction, StepStatus,
        names::{AttemptId, child_name},
    },
    expression::{reads::Variable, template::Template},
    model::{
        input::MayProvide,
        saga::{Identity, Operation, ValidSaga, Work},
        values::Values,
    },
    objects::child_saga::{ChildStart, child_saga},
    validate::saga::{ParamValues, valid_child},
};
#[cfg(feature = "operator")]
use crate::{
    api::{
        SagaStatus,
        limits::{FIRST_RECHECK, LAST_RECHECK},
        reason::REFUSED,
    },
    clock::between,
};

/// The most operations of one saga and its children that are tried. Further operations are
/// unchecked.
const MOST: usize = 512;

/// Returns the wait before a refused saga is tried again, for a process that has not tried this
/// spec yet. The wait is as long as the stored status shows the saga as refused, within the bounds
/// of [`next_wait`]. So a new process tries a saga that was refused long ago as rarely as the
/// process before it.
#[cfg(feature = "operator")]
#[must_use]
pub fn first_wait(status: &SagaStatus, generation: i64, now: Timestamp) -> Duration {
    let refused = status.conditions.iter().find(|condition| {
        condition.type_ == "Accepted"
            && condition.status == "False"
            && condition.reason == REFUSED
            && condition.observed_generation == Some(generation)
    });
    refused
        .map_or(FIRST_RECHECK, |refused| between(refused.last_transition_time.0, now))
        .clamp(FIRST_RECHECK, LAST_RECHECK)
}

/// Returns the wait that follows a wait of this length: the waits double from [`FIRST_RECHECK`] to
/// [`LAST_RECHECK`].
#[cfg(feature = "operator")]
#[must_use]
pub fn next_wait(wait: Duration) -> Duration {
    wait.saturating_mul(2).min(LAST_RECHECK)
}

/// One operation that can be tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The path of the operation: `spec.steps[2].compensation.pod`,
    /// `spec.steps[1].saga.spec.steps[0].pod`.
    pub path: String,
    /// The saga that would perform the operation.
    pub saga: Arc<ValidSaga>,
    /// The step's name.
    pub step: String,
    /// Action or compensation.
    pub direction: Direction,
    /// What is done.
    pub work: Work,
    /// What earlier steps may create or change.
    pub may_provide: MayProvide,
}

impl Probe {
    /// Returns the identity of the first attempt.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let attempt = AttemptId { step: self.step.clone(), direction: self.direction, number: 1 };
        let ValidSaga { name, namespace, uid, .. } = self.saga.as_ref();
        Identity {
            saga: name.clone(),
            namespace: namespace.clone(),
            uid: uid.clone(),
            attempt,
            key: String::new(),
        }
    }
}

/// Returns whether a saga has any operation for [`probes`].
#[cfg(feature = "operator")]
#[must_use]
pub fn has_probes(saga: &ValidSaga) -> bool {
    let operations = saga.steps.iter().flat_map(|step| {
        [Direction::Action, Direction::Compensation].map(|direction| step.operation(direction))
    });
    operations.flatten().any(can_be_tried)
}

/// Returns the operations of a saga that can be tried, and the paths of those that cannot.
#[must_use]
pub fn probes(saga: &ValidSaga) -> (Vec<Probe>, Vec<String>) {
    let mut search = ProbeSearch::default();
    search.look(
        &Arc::new(saga.clone()),
        &ProbeSite { path: "spec", params: ParamValues::Final, may_provide: MayProvide::default() },
    );
    (search.probes, search.unchecked)
}

#[derive(Default)]
struct ProbeSearch {
    probes: Vec<Probe>,
    unchecked: Vec<String>,
}

/// The position of a saga in the search.
struct ProbeSite<'a> {
    /// The path of its spec.
    path: &'a str,
    /// What its params hold before anything runs.
    params: ParamValues,
    /// The same as [`Probe::may_provide`].
    may_provide: MayProvide,
}

impl ProbeSearch {
    fn look(&mut self, saga: &Arc<ValidSaga>, at: &ProbeSite<'_>) {
        let mut may_provide = at.may_provide;
        // No outputs of any step are known.
        let values = Values { saga, steps: &[] };
        for (place, step) in saga.steps.iter().enumerate() {
            for direction in [Direction::Action, Direction::Compensation] {
                let Some(operation) =
                    step.operation(direction).filter(|operation| can_be_tried(operation))
                else {
                    continue;
                };
                let undo = if direction == Direction::Compensation { ".compensation" } else { "" };
                let path = format!("{}.steps[{place}]{undo}.{}", at.path, operation.kind());
                let known = is_known(operation, at.params);
                // A step that may never run may have values for the case in which it does.
                if step.unchecked || self.probes.len() >= MOST {
                    self.unchecked.push(path);
                    continue;
                }
                match values.resolve(operation, &StepStatus::default(), direction) {
                    Ok(work) if known => {
                        let (saga, step, work) =
                            (Arc::clone(saga), step.name.clone(), work.into_owned());
                        let probe = Probe { path, saga, step, direction, work, may_provide };
                        self.probes.push(probe.clone());
                        self.inside(&probe, ParamValues::Final);
                    }
                    Ok(_) | Err(_) => {
                        self.unchecked.push(path.clone());
                        let (saga, step, work) =
                            (Arc::clone(saga), step.name.clone(), operation.work.clone());
                        self.inside(
                            &Probe { path, saga, step, direction, work, may_provide },
                            ParamValues::Unevaluated,
                        );
                    }
                }
            }
            let child =
                if let Work::Saga(action) = &step.action.work { Some(&action.spec) } else { None };
            may_provide = may_provide.with(MayProvide::after(step.action.kind(), child));
        }
    }

    /// Searches a child saga.
    fn inside(&mut self, probe: &Probe, params: ParamValues) {
        let Work::Saga(action) = &probe.work else { return };
        // A child that is not valid was refused with its parent.
        let Some(child) = child_of(probe, action, params) else { return };
        let path = format!("{}.spec", probe.path);
        self.look(
            &Arc::new(child),
            &ProbeSite { path: &path, params, may_provide: probe.may_provide },
        );
    }
}

/// Returns the child as it would be created.
fn child_of(probe: &Probe, action: &SagaAction, params: ParamValues) -> Option<ValidSaga> {
    let (saga, identity) = (&probe.saga, probe.identity());
    let mut built = child_saga(saga, &identity, action, &ChildStart::default());
    let spec = serde_json::from_value(built.get_mut("spec").map(Value::take)?).ok()?;
    let name = child_name(&saga.name, &saga.uid, &identity.attempt);
    // The child has no UID yet, and a trial needs one.
    valid_child((name, saga.namespace.clone(), saga.uid.clone()), &spec, params)
}

/// Returns whether an operation reads only what is known before anything runs.
fn is_known(operation: &Operation, params: ParamValues) -> bool {
    let mut expressions =
        operation.template.iter().flat_map(Template::fields).map(|field| field.expression);
    expressions.all(|expression| {
        expression.is_fixed()
            && (params == ParamValues::Final
                || !expression.reads().variables.contains(&Variable::Params))
    })
}

/// Returns whether an operation has anything that can be tried.
fn can_be_tried(operation: &Operation) -> bool {
    match &operation.work {
        Work::Pod(_) | Work::Job(_) | Work::Apply(_) | Work::Saga(_) => true,
        Work::Http(action) => {
            action.tls.is_some()
                || action.headers.iter().flatten().any(|header| header.value_from.is_some())
        }
        Work::Delete(_) | Work::Until(_) | Work::UndoSaga | Work::Approval(_) | Work::Wait(_) => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests fail by panicking"
    )]

    use serde_json::{Value, json};

    use super::*;
    use crate::{model::saga::SagaName, validate::saga::validate};

    fn paths(spec: Value) -> (Vec<(String, MayProvide)>, Vec<String>) {
        let who = SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() };
        let saga = validate(&who, &serde_json::from_value(spec).unwrap()).unwrap();
        let (probes, unchecked) = probes(&saga);
        (probes.into_iter().map(|probe| (probe.path, probe.may_provide)).collect(), unchecked)
    }

    #[test]
    fn what_stands_in_a_child_is_tried_as_far_as_it_is_known() {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        let child = |params: Value| {
            json!({"params": params, "steps": [
                {"name": "a", "pod": {"image": "a", "args": ["${params.x}"]}},
                {"name": "b", "pod": {"image": "b", "args": ["${saga.name}"]}},
                {
                    "name": "c", "dependsOn": ["b"], "apply": {"manifest": map},
                    "compensation": {"pod": {"image": "c"}},
                },
            ]})
        };
        let spec = json!({"params": {"x": "y"}, "steps": [
            {
                "name": "first", "http": {"method": "POST", "url": "http://a.svc/b"},
                "outputs": {"id": "${response.body.id}"},
            },
            {"name": "known", "saga": {"spec": child(json!({"x": "${params.x}"}))}},
            {
                "name": "unknown", "dependsOn": ["first"],
                "saga": {"spec": child(json!({"x": "${steps.first.outputs.id}"}))},
            },
            {"name": "nested", "saga": {"spec": {"params": {"x": "z"}, "steps": [
                {"name": "inner", "saga": {"spec": child(json!({"x": "${params.x}"}))}},
            ]}}},
            {"name": "left", "precheck": "Skip", "saga": {"spec": child(json!({"x": "1"}))}},
        ]});
        let (tried, unchecked) = paths(spec);
        let inside = |place: &str, of: &[&str]| {
            of.iter()
                .map(|path| format!("spec.steps[{place}.spec.steps[{path}"))
                .collect::<Vec<_>>()
        };
        let all = ["0].pod", "1].pod", "2].apply", "2].compensation.pod"];
        let mut wanted = vec!["spec.steps[1].saga".to_owned()];
        wanted.extend(inside("1].saga", &all));
        wanted.extend(inside("2].saga", &all[1..]));
        wanted.extend([
            "spec.steps[3].saga".to_owned(),
            "spec.steps[3].saga.spec.steps[0].saga".to_owned(),
        ]);
        wanted.extend(inside("3].saga.spec.steps[0].saga", &all));
        assert_eq!(tried.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>(), wanted);
        assert_eq!(
            unchecked,
            ["spec.steps[2].saga", "spec.steps[2].saga.spec.steps[0].pod", "spec.steps[4].saga"]
        );
        // After the first step that writes objects, in a child or not, a thing that is missing now
        // may exist later.
        let (before, after): (Vec<_>, Vec<_>) =
            tried.iter().partition(|(path, _)| path.starts_with("spec.steps[1].saga"));
        assert!(
            before.iter().all(|(_, may_provide)| !may_provide.objects)
                && after.iter().all(|(_, may_provide)| may_provide.objects),
            "{tried:?}"
        );
    }

    #[test]
    fn what_is_tried_in_a_child_is_what_the_child_would_do() {
        let who = SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() };
        let child = json!({"params": {"x": "${params.x + '!'}"}, "steps": [
            {"name": "a", "pod": {"image": "a", "args": ["${params.x}", "${saga.name}"]}},
        ]});
        let spec = json!({"serviceAccountName": "keeper", "params": {"x": "y"}, "steps": [
            {"name": "known", "saga": {"spec": child}},
        ]});
        let saga = validate(&who, &serde_json::from_value(spec).unwrap()).unwrap();
        let (probes, _) = probes(&saga);
        let [parent, inside] = probes.as_slice() else { panic!("{probes:?}") };
        let name = child_name("order", "1", &parent.identity().attempt);
        let Work::Pod(pod) = &inside.work else { panic!("{inside:?}") };
        assert_eq!(pod.args.clone().unwrap(), ["y!".to_owned(), name.clone()]);
        assert_eq!(
            (inside.saga.service_account.as_str(), inside.identity().saga),
            ("keeper", name)
        );
    }

    #[test]
    fn the_waits_double_up_to_the_longest_and_a_new_process_continues_where_the_status_shows() {
        let mut waits = vec![FIRST_RECHECK.as_secs()];
        for _ in 0..8 {
            waits.push(next_wait(Duration::from_secs(*waits.last().unwrap())).as_secs());
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        let status = |status: &str, reason: &str, generation: i64| -> SagaStatus {
            let condition = json!({
                "type": "Accepted", "status": status, "reason": reason, "message": "",
                "observedGeneration": generation, "lastTransitionTime": "2026-03-01T12:00:00Z",
            });
            serde_json::from_value(json!({"conditions": [condition]})).unwrap()
        };
        let after = |seconds: i64| Timestamp::from_second(1_772_366_400 + seconds).unwrap();
        let refused = status("False", "Refused", 3);
        for (seconds, wait) in [(-60, 5), (0, 5), (4, 5), (70, 70), (300, 300), (90_000, 300)] {
            assert_eq!(first_wait(&refused, 3, after(seconds)).as_secs(), wait, "{seconds}");
        }
        // Another spec, another reason, an accepted saga and a new saga begin with the first wait.
        for other in [
            status("False", "Refused", 2),
            status("False", "InvalidSpec", 3),
            status("True", "Refused", 3),
            SagaStatus::default(),
        ] {
            assert_eq!(first_wait(&other, 3, after(90_000)), FIRST_RECHECK, "{other:?}");
        }
    }

    #[test]
    fn so_many_operations_are_tried_and_no_more() {
        let pods: Vec<_> = (0..100)
            .map(|place| json!({"name": format!("p{place}"), "pod": {"image": "a"}}))
            .collect();
        let children: Vec<_> = (0..9)
            .map(|place| json!({"name": format!("c{place}"), "saga": {"spec": {"steps": pods}}}))
            .collect();
        let (tried, unchecked) = paths(json!({"steps": children}));
        assert_eq!(tried.len(), MOST);
        assert!(unchecked.contains(&"spec.steps[8].saga".to_owned()), "{unchecked:?}");
    }

    #[test]
    fn what_is_known_already_is_tried_and_all_else_is_said_to_be_unchecked() {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        let secret =
            json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]);
        let post = json!({"method": "POST", "url": "http://a.svc/b"});
        let mut with_secret = post.clone();
        with_secret["headers"] = secret;
        let pod = json!({"pod": {"image": "a"}});
        for (step, tried) in [
            (json!({"name": "a", "http": post}), false),
            (json!({"name": "a", "http": with_secret}), true),
            (json!({"name": "a", "http": post, "compensation": pod}), true),
            (json!({"name": "a", "approval": {}}), false),
        ] {
            let spec = serde_json::from_value(json!({"steps": [step]})).unwrap();
            let who = SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() };
            assert_eq!(has_probes(&validate(&who, &spec).unwrap()), tried, "{spec:?}");
        }
        let spec = json!({"params": {"x": "y"}, "steps": [
            {"name": "a", "http": post},
            {"name": "b", "http": with_secret, "outputs": {"id": "${response.body.id}"}},
            {
                "name": "c", "dependsOn": ["b"], "pod": {"image": "c", "args": ["${params.x}"]},
                "compensation": {"pod": {"image": "c", "args": ["${action.key}"]}},
            },
            {
                "name": "d", "dependsOn": ["b"],
                "pod": {"image": "d", "args": ["${steps.b.outputs.id}"]},
            },
            {"name": "e", "apply": {"manifest": map}},
            {"name": "f", "pod": {"image": "f"}, "precheck": "Skip"},
            {"name": "g", "when": "params.x == 'z'", "pod": {"image": "g"}},
            {"name": "h", "approval": {}},
        ]});
        let (tried, unchecked) = paths(spec);
        let of = |path: &str, objects, secrets, places| {
            (format!("spec.steps[{path}"), MayProvide { objects, secrets, places })
        };
        assert_eq!(
            tried,
            [
                of("1].http", false, false, true),
                of("2].pod", false, false, true),
                of("4].apply", false, true, true),
                of("6].pod", true, true, true)
            ]
        );
        assert_eq!(
            unchecked,
            ["spec.steps[2].compensation.pod", "spec.steps[3].pod", "spec.steps[5].pod"]
        );
    }

    #[test]
    fn what_is_missing_may_come_of_an_earlier_step_that_can_make_it_and_of_no_other() {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        let request = json!({"method": "POST", "url": "http://a.svc/b"});
        let job =
            json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "a"}]}}}});
        let nested = |step: Value| json!({"saga": {"spec": {"steps": [step]}}});
        let pod = json!({"name": "a", "pod": {"image": "a"}});
        let undone =
            json!({"name": "a", "http": request, "compensation": {"apply": {"manifest": map}}});
        let table = [
            (json!({"apply": {"manifest": map}}), [true, true, true]),
            (
                json!({"delete": {"apiVersion": "v1", "kind": "ConfigMap", "name": "a"}}),
                [true, false, false],
            ),
            (json!({"pod": {"image": "a"}}), [false, true, true]),
            (json!({"job": job}), [false, true, true]),
            (json!({"http": request}), [false, false, true]),
            (json!({"wait": {"for": "1s"}}), [false; 3]),
            (json!({"approval": {}}), [false; 3]),
            (nested(json!({"name": "a", "wait": {"for": "1s"}})), [false; 3]),
            (nested(pod.clone()), [false, true, true]),
            (nested(json!({"name": "b", "saga": {"spec": {"steps": [pod]}}})), [false, true, true]),
            // A compensation does not run while the saga goes forward, so what it would create does
            // not exist.
            (nested(undone), [false, false, true]),
        ];
        for (mut first, [objects, secrets, places]) in table {
            first["name"] = json!("first");
            let (tried, _) =
                paths(json!({"steps": [first, {"name": "last", "pod": {"image": "a"}}]}));
            let last = tried.last().unwrap();
            assert_eq!(
                last,
                &("spec.steps[1].pod".to_owned(), MayProvide { objects, secrets, places }),
                "{first}"
            );
        }
    }
}
