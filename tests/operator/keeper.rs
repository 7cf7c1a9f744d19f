//! A namespace with an account of its own for the steps of its sagas, as which the operator may act.

use serde_json::{Value, json};

use crate::stand::Stand;

/// A stand whose operator runs and may act as the account `keeper`, which may do this to these resources of an API group.
pub async fn stand_with(name: &str, resources: (&str, &str), verbs: &[&str]) -> Stand {
    let mut stand = Stand::new(name).await;
    keeper(&stand, resources, verbs).await;
    stand.start();
    stand
}

/// Lets the operator act as the account `keeper`, which may do this to these resources of an API group.
pub async fn keeper(stand: &Stand, (group, resource): (&str, &str), verbs: &[&str]) {
    let namespace = stand.namespace.clone();
    // Server-side apply of what is not there yet asks for create, too.
    let verbs: Vec<_> =
        verbs.iter().flat_map(|verb| if *verb == "patch" { vec!["patch", "create"] } else { vec![*verb] }).map(str::to_owned).collect();
    let rbac = |kind: &str, name: &str, more: Value| {
        let mut object =
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}});
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object
    };
    let keeper = json!([{"kind": "ServiceAccount", "name": "keeper", "namespace": namespace}]);
    let operator = json!([{"kind": "ServiceAccount", "name": "saga-operator", "namespace": "saga-system"}]);
    let reference = |kind: &str, name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
    for object in [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "keeper", "namespace": namespace}}),
        rbac("Role", "keeper", json!({"rules": [{"apiGroups": [group], "resources": [resource], "verbs": verbs}]})),
        rbac("RoleBinding", "keeper", json!({"roleRef": reference("Role", "keeper"), "subjects": keeper})),
        rbac(
            "RoleBinding",
            "saga-operator",
            json!({"roleRef": reference("ClusterRole", "saga-operator-impersonator"), "subjects": operator}),
        ),
    ] {
        stand.put(&object).await;
    }
    // The API server's authorizer learns of roles a moment later.
    let keeper = format!("system:serviceaccount:{}:keeper", stand.namespace);
    let first = verbs.first().map_or("get", String::as_str).to_owned();
    let resources = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
    for may in [
        ["auth", "can-i", first.as_str(), resources.as_str(), "--as", keeper.as_str()],
        ["auth", "can-i", "impersonate", "serviceaccounts", "--as", "system:serviceaccount:saga-system:saga-operator"],
    ] {
        while !stand.kubectl_command(&may).output().unwrap().status.success() {}
    }
}

/// Lets the account `keeper` do this to these resources of an API group, too.
pub async fn keeper_may_also(stand: &Stand, (group, resource): (&str, &str), verbs: &[&str]) {
    let object = |kind: &str, more: (&str, Value)| {
        let about = json!({"name": format!("keeper-{resource}"), "namespace": stand.namespace});
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": about, more.0: more.1})
    };
    let rules = json!([{"apiGroups": [group], "resources": [resource], "verbs": verbs}]);
    let mut binding =
        object("RoleBinding", ("subjects", json!([{"kind": "ServiceAccount", "name": "keeper", "namespace": stand.namespace}])));
    binding["roleRef"] = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": format!("keeper-{resource}")});
    stand.put(&object("Role", ("rules", rules))).await;
    stand.put(&binding).await;
}
