//! A lane: a namespace that runs one plan after the other. Each plan has its own operators.

use std::sync::Arc;

use k8s_openapi::api::{authorization::v1::SubjectAccessReview, coordination::v1::Lease};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{
    judge::{Reference, judge},
    plan::Plan,
    process::POLL,
    run::{Void, run},
    stand::{PATIENCE, Stand},
    stories::{ACCOUNT, Scene},
};

/// The number of tries of a plan. If the fault does not strike because of a different timing, the
/// plan runs again.
const TRIES: usize = 3;
/// The number of tries of a run without a fault. If a run does not show the normal costs, it is
/// repeated.
const TRIES_OF_A_REFERENCE: usize = 6;
/// The account of the operator, as the chart creates it.
const OPERATOR: (&str, &str) = ("saga-system", "saga-operator");

/// Creates a namespace with everything that stories need.
pub async fn lane() -> Arc<Stand> {
    let stand = Stand::with_pods("chaos").await;
    prepare(&stand).await;
    Arc::new(stand)
}

/// Runs a story without a fault, and returns its costs.
pub async fn reference(stand: &Stand, plan: &Plan, node: bool) -> Result<Reference, String> {
    for again in 1..=TRIES_OF_A_REFERENCE {
        let name = format!("{}-{again}", plan.story.name);
        let scene = Scene { stand, name: &name, node };
        let run = run(&scene, plan).await.map_err(|void| match void {
            Void::Wrong(why) => why,
            Void::NotStruck => "no fault was to strike".into(),
        })?;
        let reference = Reference::of(&run);
        judge(&scene, plan, &run, &reference)?;
        clean(&scene).await;
        if reference.clean {
            return Ok(reference);
        }
    }
    Err(format!(
        "{}: in every run its operator's Lease lapses or a write is refused: the machine is too \
         busy",
        plan.story.name
    ))
}

/// Runs a plan and judges the run.
pub async fn one(
    stand: &Stand,
    nth: usize,
    plan: &Plan,
    reference: &Reference,
    node: bool,
) -> Result<(), String> {
    for again in 1..=TRIES {
        let name = format!("plan-{nth}-{again}");
        let scene = Scene { stand, name: &name, node };
        match run(&scene, plan).await {
            Ok(run) => {
                judge(&scene, plan, &run, reference)?;
                clean(&scene).await;
                return Ok(());
            }
            Err(Void::Wrong(why)) => return Err(why),
            Err(Void::NotStruck) => clean(&scene).await,
        }
    }
    Err("the fault did not strike: the operator makes fewer calls than in the run without a fault"
        .into())
}

/// Removes everything that a plan leaves behind.
async fn clean(scene: &Scene<'_>) {
    let stand = scene.stand;
    stand.shop.forget(None);
    stand.shop.behave(&json!([])).unwrap();
    if stand.sagas().get_opt(scene.name).await.unwrap().is_some() {
        stand.remove(scene.name).await;
    }
    let leases: Api<Lease> = Api::namespaced(stand.client.clone(), &stand.namespace);
    leases.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
}

/// Creates the account of the stories. Allows the operator to impersonate this account, and to keep
/// its Leases in this namespace.
async fn prepare(stand: &Stand) {
    let namespace = stand.namespace.as_str();
    let rbac = |kind: &str, name: &str, more: (&str, Value), and: Option<Value>| {
        let mut object = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
        });
        object[more.0] = more.1;
        if let Some(subject) = and {
            object["subjects"] = json!([subject]);
        }
        object
    };
    let rule = |group: &str, resource: &str, verbs: &[&str]| {
        json!({
            "apiGroups": [group], "resources": [resource], "verbs": verbs,
        })
    };
    let reference = |kind: &str, name: &str| {
        ("roleRef", json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}))
    };
    let account = |(namespace, name): (&str, &str)| {
        Some(json!({"kind": "ServiceAccount", "name": name, "namespace": namespace}))
    };
    let may = json!([
        rule("", "configmaps", &["get", "create", "patch", "delete"]),
        rule("", "secrets", &["get"]),
        rule("saga.dev", "sagas", &["create", "patch", "compensate", "cancel", "pause", "resume"]),
    ]);
    let leases = json!([rule(
        "coordination.k8s.io",
        "leases",
        &["get", "list", "create", "update", "delete"]
    )]);
    for object in [
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": ACCOUNT, "namespace": namespace},
        }),
        rbac("Role", ACCOUNT, ("rules", may), None),
        rbac("RoleBinding", ACCOUNT, reference("Role", ACCOUNT), account((namespace, ACCOUNT))),
        rbac("Role", "leases", ("rules", leases), None),
        rbac("RoleBinding", "leases", reference("Role", "leases"), account(OPERATOR)),
        rbac(
            "RoleBinding",
            "acts",
            reference("ClusterRole", "saga-operator-impersonator"),
            account(OPERATOR),
        ),
    ] {
        stand.put(&object).await;
    }
    until_allowed(stand, (namespace, ACCOUNT), ("", "secrets", "get")).await;
    until_allowed(stand, OPERATOR, ("coordination.k8s.io", "leases", "create")).await;
    until_allowed(stand, OPERATOR, ("", "serviceaccounts", "impersonate")).await;
}

/// Waits until an account has this permission here. The API server applies new roles with a delay.
async fn until_allowed(
    stand: &Stand,
    account: (&str, &str),
    (group, resource, verb): (&str, &str, &str),
) {
    let attributes =
        json!({"namespace": stand.namespace, "group": group, "resource": resource, "verb": verb});
    let user = format!("system:serviceaccount:{}:{}", account.0, account.1);
    let review = json!({"metadata": {}, "spec": {"user": user, "resourceAttributes": attributes}});
    let review: SubjectAccessReview = serde_json::from_value(review).unwrap();
    let reviews: Api<SubjectAccessReview> = Api::all(stand.client.clone());
    let allowed = async {
        while !reviews
            .create(&PostParams::default(), &review)
            .await
            .unwrap()
            .status
            .is_some_and(|status| status.allowed)
        {
            sleep(POLL).await;
        }
    };
    timeout(PATIENCE, allowed)
        .await
        .unwrap_or_else(|_| panic!("{user} may not {verb} {resource}, whatever its Role says"));
}
