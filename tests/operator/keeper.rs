//! A namespace with its own account for the steps of its sagas. The operator may impersonate that
//! account.

use serde_json::{Value, json};
use tokio::{task::yield_now, time::timeout};

use crate::stand::{PATIENCE, Stand};

/// Starts a stand whose operator may impersonate the account `keeper`. The account has these verbs
/// for these resources of an API group.
pub async fn stand_with(name: &str, resources: (&str, &str), verbs: &[&str]) -> Stand {
    let mut stand = Stand::new(name).await;
    keeper(&stand, resources, verbs).await;
    stand.start();
    stand
}

/// Lets the operator impersonate the account `keeper`. The account has these verbs for these
/// resources of an API group.
pub async fn keeper(stand: &Stand, (group, resource): (&str, &str), verbs: &[&str]) {
    let namespace = stand.namespace.clone();
    // Server-side apply of an object that does not exist also needs the right to create.
    let verbs: Vec<_> = verbs
        .iter()
        .flat_map(|verb| if *verb == "patch" { vec!["patch", "create"] } else { vec![*verb] })
        .map(str::to_owned)
        .collect();
    let rbac = |kind: &str, name: &str, more: Value| {
        let mut object = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
        });
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object
    };
    let keeper = json!([{"kind": "ServiceAccount", "name": "keeper", "namespace": namespace}]);
    let operator =
        json!([{"kind": "ServiceAccount", "name": "saga-operator", "namespace": "saga-system"}]);
    let reference = |kind: &str, name: &str| {
        json!({
            "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name,
        })
    };
    for object in [
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "keeper", "namespace": namespace},
        }),
        rbac(
            "Role",
            "keeper",
            json!({"rules": [{"apiGroups": [group], "resources": [resource], "verbs": verbs}]}),
        ),
        rbac(
            "RoleBinding",
            "keeper",
            json!({"roleRef": reference("Role", "keeper"), "subjects": keeper}),
        ),
        rbac(
            "RoleBinding",
            "saga-operator",
            json!({
                "roleRef": reference("ClusterRole", "saga-operator-impersonator"),
                "subjects": operator,
            }),
        ),
    ] {
        stand.put(&object).await;
    }
    let first = verbs.first().map_or("get", String::as_str);
    may(stand, "keeper", first, &full_name(group, resource)).await;
    may_as(
        stand,
        "system:serviceaccount:saga-system:saga-operator",
        "impersonate",
        "serviceaccounts",
    )
    .await;
}

/// Waits until an account of the stand's namespace has this verb for a resource: the API server's
/// authorizer learns of role changes a moment later.
pub async fn may(stand: &Stand, account: &str, verb: &str, resource: &str) {
    may_as(stand, &format!("system:serviceaccount:{}:{account}", stand.namespace), verb, resource)
        .await;
}

fn full_name(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

async fn may_as(stand: &Stand, user: &str, verb: &str, resource: &str) {
    let allowed = async {
        while !stand
            .kubectl_command(&["auth", "can-i", verb, resource, "--as", user])
            .output()
            .unwrap()
            .status
            .success()
        {
            yield_now().await;
        }
    };
    timeout(PATIENCE, allowed)
        .await
        .unwrap_or_else(|_| panic!("{user} may not {verb} {resource}, whatever its Role says"));
}

/// Gives the account `keeper` these verbs for these resources of an API group as well.
pub async fn keeper_may_also(stand: &Stand, (group, resource): (&str, &str), verbs: &[&str]) {
    let object = |kind: &str, more: (&str, Value)| {
        let about = json!({"name": format!("keeper-{resource}"), "namespace": stand.namespace});
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": about,
            more.0: more.1,
        })
    };
    let rules = json!([{"apiGroups": [group], "resources": [resource], "verbs": verbs}]);
    let mut binding = object(
        "RoleBinding",
        (
            "subjects",
            json!([{"kind": "ServiceAccount", "name": "keeper", "namespace": stand.namespace}]),
        ),
    );
    binding["roleRef"] = json!({
        "apiGroup": "rbac.authorization.k8s.io", "kind": "Role",
        "name": format!("keeper-{resource}"),
    });
    stand.put(&object("Role", ("rules", rules))).await;
    stand.put(&binding).await;
    for verb in verbs {
        may(stand, "keeper", verb, &full_name(group, resource)).await;
    }
}
