//! The sagas that the model explores: graphs of steps, and the properties that the steps share.

use std::time::Duration;

use saga_operator::{
    api::{
        ApprovalAction, BackoffType, DeletionPolicy, HttpAction, HttpMethod, ObjectRef, OnFailure,
        PodAction,
    },
    model::saga::{Operation, Retry, ValidSaga, ValidStep, Work},
};

/// The work of the steps of a saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    Pods,
    /// Pods whose exit code 1 is final.
    FinalPods,
    Requests,
    /// HTTP requests. The last step is an approval.
    Approval,
    /// Pods. The last step is an approval.
    PodsAndApproval,
    /// Pods. The last step is a wait.
    Wait,
    /// Deletions of objects.
    Deletes,
}

/// The properties that the steps of a shape share.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub steps: Steps,
    pub undo: bool,
    pub attempts: u32,
    pub on_failure: OnFailure,
    pub parallel: bool,
    /// The place of the pivot.
    pub pivot: Option<usize>,
}

/// For the step at each place, the places of its dependencies.
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
    // The time limit is longer than the bound on a second create, so that the time limit does not
    // hide an error in that bound.
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
    // A time limit would end the approval automatically, and would hide that nothing else ends it.
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

/// Returns the saga of a graph and a kind.
pub fn saga(dag: &Dag, kind: Kind) -> ValidSaga {
    ValidSaga {
        name: "order".into(),
        namespace: "shop".into(),
        uid: "uid".into(),
        key_scope: "uid".into(),
        service_account: "default".into(),
        tokens_unasked: false,
        max_parallel: if kind.parallel { dag.len().max(1) } else { 1 },
        on_failure: kind.on_failure,
        suspend: false,
        deletion_policy: DeletionPolicy::Compensate,
        max_retry_requests: 1,
        timeout: None,
        ttl: None,
        params: serde_json::Map::new(),
        doubts: Vec::new(),
        raised: Vec::new(),
        outputs: None,
        steps: (0..dag.len()).map(|place| step(dag, place, kind)).collect(),
    }
}

/// Returns every graph of `steps` steps in which each step depends only on earlier steps.
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
