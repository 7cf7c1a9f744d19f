//! The sagas that are tried, and what may happen to each: together they are what the model covers.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use saga_operator::{
    api::{
        ApprovalAction, BackoffType, DeletionPolicy, HttpAction, HttpMethod, ObjectRef, OnFailure,
        PodAction,
    },
    expression::template::{Template, node::Form},
    model::saga::{Operation, Retry, ValidSaga, ValidStep, Work},
    world::{Ending, Fault, Later, Rules},
};
use serde_json::{Map, Value, json};

/// One saga with what may happen to it.
#[derive(Clone, Debug)]
pub struct Shape {
    pub name: String,
    pub saga: ValidSaga,
    pub rules: Rules,
}

/// What the steps of a saga do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    Pods,
    /// Pods whose exit code 1 is final.
    FinalPods,
    Requests,
    /// Requests, the last step an approval.
    Approval,
    /// Pods, the last step an approval.
    PodsAndApproval,
    /// Pods, the last step a wait.
    Wait,
    /// Deletions of objects.
    Deletes,
}

/// What the steps of a shape have in common.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub steps: Steps,
    pub undo: bool,
    pub attempts: u32,
    pub on_failure: OnFailure,
    pub parallel: bool,
    /// Which step is the pivot.
    pub pivot: Option<usize>,
}

/// The places on which the step at each place depends.
pub type Dag = Vec<Vec<usize>>;

pub fn operation(work: Work, attempts: u32) -> Operation {
    let retry = Retry {
        max_attempts: attempts,
        deadline: None,
        backoff: BackoffType::None,
        initial_delay: Duration::from_secs(1),
        max_delay: Duration::from_secs(1),
        jitter: 0.0,
    };
    // Longer than what bounds a second creation, so that the one does not hide the other.
    Operation::new(work, Duration::from_mins(1), retry)
}

pub fn pod() -> Work {
    Work::Pod(PodAction { image: Some("image".into()), ..PodAction::default() })
}

fn final_pod() -> Work {
    Work::Pod(PodAction {
        image: Some("image".into()),
        final_exit_codes: Some(vec![1]),
        ..PodAction::default()
    })
}

pub fn request(name: &str) -> Work {
    let url = format!("http://shop/{name}");
    Work::Http(HttpAction {
        method: HttpMethod::Post,
        url,
        headers: None,
        body: None,
        expect: None,
        answers: None,
        tls: None,
    })
}

pub fn deletion(name: &str) -> Work {
    Work::Delete(ObjectRef {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        name: name.into(),
        namespace: None,
    })
}

fn undo_work(name: &str, pods: bool, deletes: bool) -> Work {
    match (pods, deletes) {
        (true, _) => pod(),
        (false, true) => deletion(&format!("undo-{name}")),
        (false, false) => request(&format!("undo-{name}")),
    }
}

fn step(dag: &Dag, place: usize, kind: Kind) -> ValidStep {
    let name = format!("s{place}");
    let last = place + 1 == dag.len();
    let pods =
        matches!(kind.steps, Steps::Pods | Steps::FinalPods | Steps::Wait | Steps::PodsAndApproval);
    let deletes = kind.steps == Steps::Deletes;
    let work = match kind.steps {
        Steps::Approval | Steps::PodsAndApproval if last => {
            Work::Approval(ApprovalAction::default())
        }
        Steps::Wait if last => Work::Wait(Duration::from_secs(5)),
        Steps::Pods | Steps::Wait | Steps::PodsAndApproval => pod(),
        Steps::FinalPods => final_pod(),
        Steps::Requests | Steps::Approval => request(&name),
        Steps::Deletes => deletion(&name),
    };
    let only_waits = matches!(work, Work::Approval(_) | Work::Wait(_));
    let undo = kind.undo && !only_waits;
    let mut action = operation(work, if only_waits { 1 } else { kind.attempts });
    // One that ends by itself would hide that nothing else ends it.
    if matches!(action.work, Work::Approval(_)) && kind.on_failure == OnFailure::Compensate {
        action.timeout = Duration::MAX;
    }
    ValidStep {
        depends_on: dag[place].clone(),
        pivot: kind.pivot == Some(place),
        compensate_failed: pods && !only_waits,
        unchecked: false,
        when: None,
        action,
        outputs: None,
        compensation: undo.then(|| operation(undo_work(&name, pods, deletes), kind.attempts)),
        name,
    }
}

/// A saga of a shape.
pub fn saga(dag: &Dag, kind: Kind) -> ValidSaga {
    ValidSaga {
        name: "order".into(),
        namespace: "shop".into(),
        uid: "uid".into(),
        key_scope: "uid".into(),
        service_account: "default".into(),
        max_parallel: if kind.parallel { dag.len().max(1) } else { 1 },
        on_failure: kind.on_failure,
        suspend: false,
        deletion_policy: DeletionPolicy::Compensate,
        max_retry_requests: 1,
        timeout: None,
        ttl: None,
        params: serde_json::Map::new(),
        doubts: Vec::new(),
        outputs: None,
        steps: (0..dag.len()).map(|place| step(dag, place, kind)).collect(),
    }
}

/// Every graph of so many steps in which each depends only on earlier ones.
pub fn dags(steps: usize) -> Vec<Dag> {
    let mut all = vec![Vec::new()];
    for place in 0..steps {
        let longer = |dag: &Dag| {
            let dag = dag.clone();
            (0..1_usize << place).map(move |set| {
                let mut dag = dag.clone();
                dag.push((0..place).filter(|earlier| set >> earlier & 1 == 1).collect());
                dag
            })
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// What may happen, one dimension after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extent {
    pub requests: usize,
    pub tokens: bool,
    pub faults: usize,
    pub operators: usize,
    pub staleness: usize,
    /// Every ending, and time limits pass; else the four that differ most.
    pub wide: bool,
    /// Of faults only these, each once at most; the usual ones where there is none.
    pub once: &'static [Fault],
    /// By how many seconds the clock of each operator is ahead.
    pub clocks: [i64; 2],
    /// What the second operator writes, where it is of a later version.
    pub later: Option<Later>,
}

impl Extent {
    pub fn rules(self) -> Rules {
        let mut rules = Rules::calm(Instant::now());
        rules.requests = self.requests;
        rules.tokens = self.tokens;
        rules.faults = self.faults;
        if !self.once.is_empty() {
            (rules.fault_kinds, rules.each_fault_once) = (self.once.to_vec(), true);
        }
        rules.operators = self.operators.max(1);
        rules.clocks = self.clocks.map(SignedDuration::from_secs);
        rules.staleness = self.staleness;
        rules.later = self.later;
        rules.attempts_last = self.wide;
        if !self.wide {
            rules.endings = vec![
                Ending::Done,
                Ending::No,
                Ending::Unknown(true),
                Ending::Vanished(false),
                Ending::Conflict,
                Ending::Crash,
            ];
            rules.undo_endings =
                vec![Ending::Done, Ending::No, Ending::Unknown(false), Ending::Conflict];
        }
        rules
    }

    fn text(self) -> String {
        let Self { requests, tokens, faults, operators, staleness, wide, once, clocks, later } =
            self;
        let words = [
            (requests > 0, if tokens { "request@token" } else { "request" }.to_owned()),
            (faults > 0, if once.is_empty() { "fault".to_owned() } else { format!("{once:?}") }),
            (operators > 1, "two operators".to_owned()),
            (staleness > 0, "stale".to_owned()),
            (clocks != [0; 2], format!("clocks {clocks:?}")),
            (later.is_some(), later.map(|later| format!("{later:?}")).unwrap_or_default()),
            (wide, "wide".to_owned()),
        ];
        words
            .into_iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, word)| word)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

const BOTH: [OnFailure; 2] = [OnFailure::Compensate, OnFailure::Hold];

struct Shapes(Vec<Shape>);

impl Shapes {
    fn add(&mut self, dag: &Dag, kind: Kind, extent: Extent) {
        let Kind { steps, undo, attempts, on_failure, parallel, pivot } = kind;
        let order = if parallel { "side by side" } else { "in order" };
        let more = format!(
            "{}{}",
            if undo { "" } else { ", no undo" },
            pivot.map(|pivot| format!(", pivot s{pivot}")).unwrap_or_default()
        );
        let name = format!(
            "{dag:?} {steps:?} x{attempts} {on_failure:?} {order}{more}; {}",
            extent.text()
        );
        let rules = Rules { remakes: u32::from(steps == Steps::Deletes), ..extent.rules() };
        self.0.push(Shape { name, saga: saga(dag, kind), rules });
    }

    /// Every graph of so many steps, with pods and requests, one attempt and two, both policies.
    fn all(&mut self, steps: usize, orders: &[bool], attempts: &[u32], extent: Extent) {
        for dag in dags(steps) {
            for kind in [Steps::Pods, Steps::Requests] {
                for on_failure in BOTH {
                    for attempts in attempts {
                        for parallel in orders {
                            let kind = Kind {
                                steps: kind,
                                undo: true,
                                attempts: *attempts,
                                on_failure,
                                parallel: *parallel,
                                pivot: None,
                            };
                            self.add(&dag, kind, extent);
                        }
                    }
                }
            }
        }
    }

    /// Every graph of so many steps, with steps of one kind and one attempt, in order.
    fn only(&mut self, steps: usize, kind: Steps, extent: Extent) {
        for dag in dags(steps) {
            for on_failure in BOTH {
                let kind = Kind {
                    steps: kind,
                    undo: true,
                    attempts: 1,
                    on_failure,
                    parallel: false,
                    pivot: None,
                };
                self.add(&dag, kind, extent);
            }
        }
    }

    /// One pod whose exit code 1 is final, tried twice; also as the pivot.
    fn pods_again(&mut self, extent: Extent) {
        for on_failure in BOTH {
            for pivot in [None, Some(0)] {
                let kind = Kind {
                    steps: Steps::FinalPods,
                    undo: true,
                    attempts: 2,
                    on_failure,
                    parallel: false,
                    pivot,
                };
                self.add(&dags(1)[0], kind, extent);
            }
        }
    }

    /// Sagas that ask a person.
    fn approvals(&mut self, extent: Extent) {
        for on_failure in BOTH {
            for dag in dags(2) {
                let kind = Kind {
                    steps: Steps::Approval,
                    undo: true,
                    attempts: 1,
                    on_failure,
                    parallel: true,
                    pivot: None,
                };
                self.add(&dag, kind, extent);
                self.add(&dag, Kind { steps: Steps::PodsAndApproval, ..kind }, extent);
            }
        }
    }

    /// What is special: pivots, steps that only wait, steps without an undo.
    fn special(&mut self, extent: Extent) {
        for on_failure in BOTH {
            let kind = Kind {
                steps: Steps::Pods,
                undo: true,
                attempts: 1,
                on_failure,
                parallel: true,
                pivot: None,
            };
            for dag in dags(2) {
                self.add(
                    &dag,
                    Kind { steps: Steps::Requests, pivot: Some(0), attempts: 2, ..kind },
                    extent,
                );
                self.add(&dag, Kind { pivot: Some(1), parallel: false, ..kind }, extent);
                self.add(&dag, Kind { steps: Steps::Approval, ..kind }, extent);
                self.add(&dag, Kind { steps: Steps::Wait, ..kind }, extent);
                self.add(&dag, Kind { undo: false, parallel: false, ..kind }, extent);
            }
        }
    }
}

/// What a step hands on that the API server gives back as another number, what is nested deeper
/// than any status may hold it, and what has an order that nobody gave it; and a step that reads
/// it.
fn values() -> [(&'static str, Map<String, Value>, &'static str); 3] {
    let fields = |value: Value| value.as_object().cloned().unwrap_or_default();
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    let map = json!({"v": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}});
    [
        ("100.0", fields(json!({"v": 100.0})), "${steps.s0.outputs.v}"),
        ("deep", fields(json!({"v": deep})), "${steps.s0.outputs.v}"),
        ("a map", fields(map), "${steps.s0.outputs.v.map(k, k)}"),
    ]
}

impl Shapes {
    /// A request that sends what the one before it handed on.
    fn values(&mut self, extent: Extent) {
        let dag = vec![vec![], vec![0]];
        let kind = Kind {
            steps: Steps::Requests,
            undo: true,
            attempts: 2,
            on_failure: OnFailure::Hold,
            parallel: false,
            pivot: None,
        };
        for (what, outputs, body) in values() {
            let mut saga = saga(&dag, kind);
            let action = json!({"method": "POST", "url": "http://shop/s1", "body": {"v": body}});
            let template = Template::parse(
                action.as_object().unwrap(),
                "spec.steps[1].http",
                |_| Form::Any,
                &mut Vec::new(),
            );
            saga.steps[1].action.template = Some(template);
            let rules = Rules { outputs: [("s0".to_owned(), outputs)].into(), ..extent.rules() };
            self.0.push(Shape { name: format!("s1 sends {what}; {}", extent.text()), saga, rules });
        }
    }
}

impl Shapes {
    /// Operators whose clocks differ, or are set.
    fn clocks(&mut self) {
        let calm = Extent { operators: 2, ..Extent::default() };
        for clocks in [[0, -40], [0, 40], [20, -20]] {
            self.all(1, &[false], &[2], Extent { clocks, ..calm });
            self.only(
                1,
                Steps::Requests,
                Extent { clocks, faults: 2, once: &[Fault::Crash, Fault::Freeze], ..calm },
            );
        }
        self.only(
            1,
            Steps::Pods,
            Extent { clocks: [20, -20], faults: 2, once: &[Fault::Crash, Fault::Freeze], ..calm },
        );
        for once in [&[Fault::SetAhead], &[Fault::SetBack]] {
            let set = Extent { requests: 1, faults: 1, once, ..Extent::default() };
            self.all(1, &[false], &[1, 2], set);
            self.approvals(set);
        }
        self.all(
            1,
            &[false],
            &[2],
            Extent { faults: 2, once: &[Fault::SetAhead, Fault::SetBack], ..calm },
        );
        // Who reads an intent late knows of its age only what clocks say.
        self.only(
            1,
            Steps::Pods,
            Extent {
                faults: 3,
                once: &[Fault::Crash, Fault::Stall, Fault::SetBack],
                ..Extent::default()
            },
        );
        self.only(
            1,
            Steps::Pods,
            Extent { faults: 2, once: &[Fault::Crash, Fault::SetBack], ..calm },
        );
        self.all(2, &[false], &[1], Extent { clocks: [0, -40], ..calm });
    }
}

impl Shapes {
    /// Operators whose watches break: what nothing tells them they find by their timers, or when
    /// they list all again.
    fn deaf(&mut self) {
        let deaf = Extent { faults: 1, once: &[Fault::Deafen], ..Extent::default() };
        self.all(1, &[false], &[1, 2], Extent { requests: 1, ..deaf });
        self.all(1, &[false], &[1], Extent { wide: true, ..deaf });
        self.all(2, &[false, true], &[1], deaf);
        self.approvals(Extent { requests: 1, ..deaf });
        self.all(
            1,
            &[false],
            &[1],
            Extent { faults: 2, once: &[Fault::Deafen, Fault::Crash], operators: 2, ..deaf },
        );
    }

    /// An operator of this version and one of a later one, which comes back after it died, or does
    /// not.
    fn versions(&mut self) {
        for (word, stays) in [(false, true), (true, true), (true, false)] {
            let both =
                Extent { operators: 2, later: Some(Later { word, stays }), ..Extent::default() };
            // Each write is put in words as the API server keeps it, which takes its time.
            self.all(1, &[false], &[1], Extent { faults: 1, once: &[Fault::Crash], ..both });
            self.only(2, Steps::Requests, both);
        }
    }
}

/// The shapes of `make model`: a million worlds and more, in minutes.
pub fn quick() -> Vec<Shape> {
    let mut shapes = Shapes(Vec::new());
    let (both, calm) = ([false, true], Extent::default());
    let request = Extent { requests: 1, ..calm };
    let fault = Extent { faults: 1, ..calm };
    let all = Extent { requests: 1, faults: 1, operators: 2, staleness: 2, ..calm };
    shapes.all(1, &[false], &[1, 2], Extent { wide: true, ..calm });
    shapes.all(1, &[false], &[1, 2], request);
    shapes.all(1, &[false], &[1, 2], fault);
    // What is cheap and special first: a rule that is broken shows early.
    shapes.all(1, &[false], &[1], Extent { requests: 2, ..calm });
    shapes.all(1, &[false], &[1], Extent { tokens: true, faults: 1, staleness: 1, ..request });
    shapes.all(1, &[false], &[1], Extent { faults: 1, ..request });
    shapes.all(1, &[false], &[1], Extent { faults: 1, operators: 2, staleness: 2, ..calm });
    shapes.special(fault);
    shapes.special(request);
    shapes.approvals(Extent { faults: 1, ..request });
    shapes.values(Extent { faults: 1, ..request });
    // What one operator was refused another one may still create: it takes two faults.
    shapes.only(
        1,
        Steps::Pods,
        Extent { faults: 2, operators: 2, once: &[Fault::Stall, Fault::Refuse], ..request },
    );
    // What is deleted may be made again: by whom, and when, its UID was written decides.
    shapes.only(1, Steps::Deletes, Extent { faults: 1, ..request });
    shapes.only(
        1,
        Steps::Deletes,
        Extent { wide: true, faults: 1, operators: 2, staleness: 2, ..calm },
    );
    shapes.only(
        1,
        Steps::Deletes,
        Extent {
            faults: 2,
            operators: 2,
            once: &[Fault::Crash, Fault::Stall, Fault::Refuse],
            ..calm
        },
    );
    // A creation that was decided in time leaves too late: the operator that made the Pod before it
    // must be gone, and a look stand still.
    shapes.only(
        1,
        Steps::Pods,
        Extent { wide: true, faults: 2, once: &[Fault::Crash, Fault::Stall], ..request },
    );
    // Which exit codes say that nothing was done: another attempt of the same work, or a request
    // for it, tells.
    shapes.only(1, Steps::FinalPods, Extent { wide: true, ..request });
    shapes.pods_again(Extent { wide: true, ..request });
    shapes.clocks();
    shapes.deaf();
    shapes.versions();
    shapes.all(2, &[false], &[1, 2], Extent { wide: true, ..calm });
    shapes.all(2, &[true], &[1], Extent { wide: true, ..calm });
    shapes.all(2, &both, &[1], request);
    shapes.all(2, &[false], &[2], request);
    shapes.all(2, &[false], &[1, 2], fault);
    shapes.all(2, &[true], &[1], fault);
    shapes.all(1, &[false], &[1], Extent { wide: true, faults: 1, ..request });
    shapes.all(
        1,
        &[false],
        &[1],
        Extent { wide: true, faults: 1, operators: 2, staleness: 2, ..calm },
    );
    shapes.only(1, Steps::Requests, all);
    shapes.all(2, &[false], &[1], Extent { faults: 1, ..request });
    shapes.all(2, &[false], &[1], Extent { faults: 1, operators: 2, staleness: 2, ..calm });
    shapes.all(3, &[false], &[1, 2], calm);
    shapes.all(3, &[true], &[1], calm);
    shapes.all(3, &[false], &[1], request);
    shapes.all(3, &[false], &[1], fault);
    // Pods and Jobs as they are, with who acts on them.
    shapes.0.extend(crate::children::all());
    shapes.0
}

/// The shapes of `make model-full`: those, four steps, and more at once. Everything at once is
/// searched with one step, and with two that send requests; beyond, it has more worlds than a
/// machine holds, and is wandered through by seed instead.
pub fn full() -> Vec<Shape> {
    let mut shapes = Shapes(quick());
    let calm = Extent::default();
    let (request, fault) = (Extent { requests: 1, ..calm }, Extent { faults: 1, ..calm });
    let both = Extent { faults: 1, ..request };
    shapes.only(1, Steps::Pods, Extent { operators: 2, staleness: 2, ..both });
    shapes.all(1, &[false], &[2], Extent { wide: true, ..both });
    shapes.all(2, &[true], &[2], calm);
    shapes.all(3, &[false], &[1], both);
    shapes.all(3, &[false], &[1], Extent { operators: 2, staleness: 2, ..fault });
    shapes.all(4, &[false], &[1], calm);
    shapes.all(4, &[false], &[1], request);
    shapes.all(4, &[false], &[1], fault);
    shapes.special(both);
    shapes.only(2, Steps::Requests, Extent { operators: 2, staleness: 2, ..both });
    shapes.0
}
