//! The protection of requests by annotation beyond the verb `patch`.
//!
//! # Guarantees
//! What the operator says rests on the answers of the API server, never on a setting. The operator
//! logs the protection when it is first known and whenever it changes. Each saga reports the
//! protection once, when the saga is accepted.
//!
//! # Caveats
//! The policy is recognised by the name under which the chart installs it. A policy of the user
//! under another name is not recognised. An operator without the right to read the policy reports
//! the same as one that does not find it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::{Api, Client};
use tokio::time::sleep;

use super::error::{chain, code};

/// The name of the policy and of its binding.
pub const NAME: &str = "requests.sagas.saga.dev";
/// How often the policy is read.
const AGAIN: Duration = Duration::from_mins(1);

/// What is known of the protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    /// The policy is in force in all namespaces.
    Policy,
    /// The policy is not in force, or not in all namespaces.
    PatchAlone,
    /// The operator may not read the policy or its binding (403).
    NotSeen,
}

/// The protection of requests, as last read.
pub struct RequestPolicy {
    client: Client,
    known: Mutex<Option<Guard>>,
}

impl RequestPolicy {
    /// Creates an empty record. Nothing is known until [`Self::look`] receives an answer.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self { client, known: Mutex::new(None) }
    }

    /// Returns whether no policy protects requests, as far as the operator can read. Returns false
    /// while nothing is known.
    #[must_use]
    pub fn is_patch_alone(&self) -> bool {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(known, Some(Guard::PatchAlone | Guard::NotSeen))
    }

    /// Reads the policy and its binding once. If the read fails, what was known stays; a 403 counts
    /// as an answer.
    pub async fn look(&self) {
        let guard = match self.read().await {
            Ok(guard) => guard,
            Err(error) if code(&error) == Some(403) => Guard::NotSeen,
            Err(error) => {
                tracing::debug!(
                    error = chain(&error),
                    "cannot read the policy that guards requests"
                );
                return;
            }
        };
        if self.known.lock().unwrap_or_else(PoisonError::into_inner).replace(guard) != Some(guard) {
            tell(guard);
        }
    }

    /// Reads the policy once a minute. Never returns.
    pub async fn keep(&self) {
        loop {
            sleep(AGAIN).await;
            self.look().await;
        }
    }

    async fn read(&self) -> Result<Guard, kube::Error> {
        let policies: Api<ValidatingAdmissionPolicy> = Api::all(self.client.clone());
        let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(self.client.clone());
        let (policy, binding) = (policies.get_opt(NAME).await?, bindings.get_opt(NAME).await?);
        let denies = binding.and_then(|binding| binding.spec).is_some_and(|spec| {
            let denies = spec.validation_actions.iter().flatten().any(|action| action == "Deny");
            denies && spec.match_resources.is_none() && spec.policy_name.as_deref() == Some(NAME)
        });
        Ok(if policy.is_some() && denies { Guard::Policy } else { Guard::PatchAlone })
    }
}

fn tell(guard: Guard) {
    match guard {
        Guard::Policy => tracing::info!(
            policy = NAME,
            "each request by annotation needs its own verb on sagas.saga.dev"
        ),
        Guard::PatchAlone => tracing::warn!(
            policy = NAME,
            "requests are guarded by the verb patch alone: whoever may patch a saga may ask it \
             for anything; install the chart with admission.enabled=true, admission.requests=true \
             and admission.validationActions=[Deny]"
        ),
        Guard::NotSeen => tracing::warn!(
            policy = NAME,
            "requests are guarded by the verb patch alone, as far as the operator can see: give \
             it the verb get on the validatingadmissionpolicy and the \
             validatingadmissionpolicybinding of this name"
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::{convert::Infallible, sync::Arc};

    use http::Request;
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::*;
    use crate::{api::RequestAction, controller::context::fixture};

    type Answers = Arc<Mutex<(u16, Value, Value)>>;

    /// Returns a `RequestPolicy` in front of an API server that has this policy and this binding.
    /// If the code is not 200, the API server gives every read that code.
    fn policy(answers: &Answers) -> RequestPolicy {
        let answers = Arc::clone(answers);
        let serve = service_fn(move |request: Request<Body>| {
            let (code, policy, binding) = answers.lock().unwrap().clone();
            let path = request.uri().path().to_owned();
            async move {
                let found = if path.ends_with(&format!("/validatingadmissionpolicies/{NAME}")) {
                    policy
                } else {
                    binding
                };
                let code = if code == 200 && found.is_null() { 404 } else { code };
                let reason = if code == 404 { "NotFound" } else { "" };
                let failure = json!({
                    "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                    "reason": reason, "message": "",
                });
                let body = if code == 200 { found } else { failure };
                Ok::<_, Infallible>(fixture::answer(code, &body))
            }
        });
        RequestPolicy::new(Client::new(serve, "default"))
    }

    fn binding(more: &Value) -> Value {
        let mut spec = json!({"policyName": NAME, "validationActions": ["Deny"]});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": NAME}, "spec": spec,
        })
    }

    #[tokio::test]
    async fn only_a_policy_that_denies_everywhere_is_a_guard() {
        let there = json!({"metadata": {"name": NAME}});
        for (what, policy_there, binding_there, alone) in [
            ("both", there.clone(), binding(&json!({})), false),
            ("no policy", Value::Null, binding(&json!({})), true),
            ("no binding", there.clone(), Value::Null, true),
            (
                "nothing is refused",
                there.clone(),
                binding(&json!({"validationActions": ["Warn", "Audit"]})),
                true,
            ),
            (
                "only somewhere",
                there.clone(),
                binding(&json!({"matchResources": {"namespaceSelector": {}}})),
                true,
            ),
            ("of another policy", there.clone(), binding(&json!({"policyName": "mine"})), true),
        ] {
            let policy = policy(&Arc::new(Mutex::new((200, policy_there, binding_there))));
            assert!(!policy.is_patch_alone(), "nothing is known yet");
            policy.look().await;
            assert_eq!(policy.is_patch_alone(), alone, "{what}");
        }
    }

    #[tokio::test]
    async fn what_is_known_stays_while_nobody_answers_and_a_refusal_is_an_answer() {
        let answers: Answers = Arc::new(Mutex::new((500, Value::Null, Value::Null)));
        let policy = policy(&answers);
        policy.look().await;
        assert!(!policy.is_patch_alone(), "nobody has answered");
        for (code, alone) in [(403, true), (500, true), (404, true)] {
            answers.lock().unwrap().0 = code;
            policy.look().await;
            assert_eq!(policy.is_patch_alone(), alone, "{code}");
        }
        *answers.lock().unwrap() = (200, json!({"metadata": {"name": NAME}}), binding(&json!({})));
        policy.look().await;
        assert!(!policy.is_patch_alone());
        answers.lock().unwrap().0 = 503;
        policy.look().await;
        assert!(!policy.is_patch_alone(), "as it was");
    }

    #[test]
    fn the_chart_installs_the_policy_that_is_looked_for() {
        let requests =
            include_str!("../../../charts/saga-operator/templates/admission/requests.yaml");
        assert!(requests.contains(&format!("\n  name: {NAME}\n")));
        for action in RequestAction::ALL {
            assert_eq!(
                (
                    requests.matches(&format!("\"{action}\"")).count(),
                    requests.matches(&format!("'{action}'")).count()
                ),
                (1, 1),
                "{action}"
            );
        }
        let rights =
            include_str!("../../../charts/saga-operator/templates/admission/operator.yaml");
        assert!(rights.contains(&format!("resourceNames: [{NAME}]")));
    }
}
