//! The sagas that are tried: graphs of steps, and what the steps have in common.

use std::time::Duration;

use saga_operator::{
    api::{
        ApprovalAction, BackoffType, DeletionPolicy, HttpAction, HttpMethod, ObjectRef, OnFailure,
        PodAction,
    },
    model::saga::{Operation, Retry, ValidSaga, ValidStep, Work},
};

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
