//! Tests of the accounts of the samples, and of the rights that their roles give them.

use std::collections::BTreeSet;

use saga_operator::api::{ApplyAction, ObjectRef, Saga};
use serde_json::{Value, json};

use super::{documents, sagas};

#[test]
fn the_secret_the_account_and_its_role_fit_each_other() {
    let of_orders = |document: &Value| {
        ["order-saga", "payments"].iter().any(|name| document["metadata"]["name"] == *name)
    };
    let find = |kind: &str| {
        documents()
            .into_iter()
            .find(|(_, document)| document["kind"] == kind && of_orders(document))
            .unwrap()
            .1
    };
    let (secret, account, role, binding) =
        (find("Secret"), find("ServiceAccount"), find("Role"), find("RoleBinding"));
    assert_eq!(role["rules"][0]["resourceNames"], json!([secret["metadata"]["name"]]));
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    assert_eq!(binding["subjects"][0]["name"], account["metadata"]["name"]);
    for (file, saga) in sagas() {
        let https = saga.spec.steps.iter().filter_map(|step| step.http.as_ref());
        let headers = https
            .filter_map(|http| http.headers.as_ref())
            .flatten()
            .filter_map(|header| header.value_from.as_ref());
        let references: Vec<_> = headers.map(|source| &source.secret_key_ref).collect();
        for reference in &references {
            assert_eq!(secret["metadata"]["name"], reference.name.as_str(), "{file}");
            assert!(
                secret["stringData"].get(&reference.key).is_some(),
                "{file}: no key {}",
                reference.key
            );
        }
        let acts_as = saga
            .spec
            .service_account_name
            .as_deref()
            .filter(|name| account["metadata"]["name"] == *name);
        assert_eq!(acts_as.is_some(), !references.is_empty(), "{file}");
    }
}

/// Returns what the steps of a saga do to objects: kind, name and verb.
fn writes(saga: &Saga) -> BTreeSet<(String, String, &'static str)> {
    let params = saga.spec.params.as_ref().unwrap();
    let text = |value: &Value| {
        let colour = |text: String, age: &str| {
            text.replace(
                &format!("${{params.{age}.colour}}"),
                params[age]["colour"].as_str().unwrap(),
            )
        };
        ["old", "new"].into_iter().fold(value.as_str().unwrap().to_owned(), colour)
    };
    let applied = |action: &ApplyAction| {
        let (kind, name) =
            (text(&action.manifest["kind"]), text(&action.manifest["metadata"]["name"]));
        // The Services already exist.
        let verbs: &[_] =
            if kind == "Service" { &["get", "patch"] } else { &["get", "patch", "create"] };
        (kind, name, verbs)
    };
    let deleted = |object: &ObjectRef| {
        (object.kind.clone(), text(&json!(object.name)), ["get", "delete"].as_slice())
    };
    let steps = &saga.spec.steps;
    let undoing = || steps.iter().filter_map(|step| step.compensation.as_ref());
    let apply = steps
        .iter()
        .filter_map(|step| step.apply.as_ref())
        .chain(undoing().filter_map(|undo| undo.apply.as_ref()));
    let delete = steps
        .iter()
        .filter_map(|step| step.delete.as_ref())
        .chain(undoing().filter_map(|undo| undo.delete.as_ref()));
    let all = apply.map(applied).chain(delete.map(deleted));
    all.flat_map(|(kind, name, verbs)| {
        verbs.iter().map(move |verb| (kind.clone(), name.clone(), *verb)).collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn the_account_of_the_releases_may_do_what_they_do_and_nothing_else() {
    let documents = documents();
    let role = documents.iter().find(|(_, document)| {
        document["kind"] == "Role" && document["metadata"]["name"] == "release-saga"
    });
    let texts = |value: &Value| {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let mut allowed = BTreeSet::new();
    for rule in role.unwrap().1["rules"].as_array().unwrap() {
        let kind = match rule["resources"][0].as_str().unwrap() {
            "services" => "Service",
            "deployments" => "Deployment",
            other => panic!("{other}"),
        };
        for verb in texts(&rule["verbs"]) {
            // RBAC cannot restrict the verb create by name.
            let names =
                if verb == "create" { vec!["*".to_owned()] } else { texts(&rule["resourceNames"]) };
            allowed.extend(names.into_iter().map(|name| (kind.to_owned(), name, verb.clone())));
        }
    }
    let of_releases = sagas()
        .into_iter()
        .filter(|(_, saga)| saga.spec.service_account_name.as_deref() == Some("release-saga"));
    let needed: BTreeSet<_> = of_releases
        .flat_map(|(_, saga)| writes(&saga))
        .map(|(kind, name, verb)| {
            (kind, if verb == "create" { "*".to_owned() } else { name }, verb.to_owned())
        })
        .collect();
    assert_eq!(allowed, needed);
}
