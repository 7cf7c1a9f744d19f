//! Objects of any kind, which the operator reads and writes as the account of a saga.
//!
//! # Guarantees
//! - The API server decides with the rights of the account, never with the rights of the operator:
//!   each call to an object impersonates the account.
//! - An applied object carries an annotation that names the attempt, so that any process can tell
//!   later whether the attempt applied the object. If the annotation is gone, the object is
//!   recognised by its UID, or by its fields and their manager. An applied object carries no owner,
//!   so it outlives the saga.
//! - At most [`MAX_OBJECT`] bytes of an object are read. Reading a larger one stops there.
//! - A delete names a UID. An object that was created again under the same name is not deleted.

use http::{HeaderValue, Request};
use kube::{
    Client,
    api::{
        DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
        ValidationDirective,
    },
    core::Request as ApiRequest,
};
use serde_json::{Value, json};

use super::{
    impersonate::ObjectTarget,
    kinds::{Kinds, is_path_part},
    object_text::ObjectText,
    refusal::{ApiRefusal, MAX_REASON, Unserved, trouble},
};
use crate::{
    api::{ApplyAction, limits::MAX_OBJECT, names::ANNOTATION_ATTEMPT},
    objects::applied,
    service::client::body_limit::MaxBody,
    text::bounded_line,
};

/// The field manager of applied objects.
const MANAGER: &str = "saga.dev";
/// Whether a write is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) enum WriteMode {
    /// The write is stored.
    Commit,
    /// The API server only checks whether the write would succeed.
    DryRun,
}

/// Reads and writes objects as the accounts of sagas.
pub struct Objects {
    client: Client,
    kinds: Kinds,
}

impl Objects {
    /// Creates a client for objects. Calls go through `client`, the operator's own client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { kinds: Kinds::new(client.clone()), client }
    }

    /// Reads the object. Returns `None` if the object does not exist.
    pub(in crate::controller) async fn get(
        &self,
        target: ObjectTarget<'_>,
    ) -> Result<Option<ObjectText>, ApiRefusal> {
        let (path, _) = self.path(target).await?;
        let request = ApiRequest::new(path).get(target.name, &kube::api::GetParams::default());
        match self.call(target, request).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(trouble(target, "get", &error)),
        }
    }

    /// Applies the manifest by server-side apply for this attempt. Returns the UID of the object.
    pub(in crate::controller) async fn apply(
        &self,
        target: ObjectTarget<'_>,
        action: &ApplyAction,
        attempt: &str,
        mode: WriteMode,
    ) -> Result<String, ApiRefusal> {
        let (path, namespace) = self.path(target).await?;
        let mut manifest = action.manifest.clone();
        let metadata = manifest.pointer_mut("/metadata").and_then(Value::as_object_mut);
        let Some(metadata) = metadata else {
            return Err(ApiRefusal::malformed("the manifest has no metadata"));
        };
        if let Some(namespace) = namespace {
            metadata.insert("namespace".into(), json!(namespace));
        }
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        let Some(annotations) = annotations.as_object_mut() else {
            return Err(ApiRefusal::malformed("metadata.annotations of the manifest is no object"));
        };
        annotations.insert(ANNOTATION_ATTEMPT.into(), json!(attempt));
        let mut params = PatchParams::apply(MANAGER);
        params.dry_run = mode == WriteMode::DryRun;
        params.force = action.force.unwrap_or_default();
        params.field_validation = Some(ValidationDirective::Strict);
        let request = ApiRequest::new(path).patch(target.name, &params, &Patch::Apply(&manifest));
        let applied =
            self.call(target, request).await.map_err(|error| trouble(target, "patch", &error))?;
        Ok(applied.head()?.uid)
    }

    /// Creates the object. Returns the UID of the object, or `None` if an object of the name
    /// exists.
    pub(in crate::controller) async fn create(
        &self,
        target: ObjectTarget<'_>,
        object: &Value,
        mode: WriteMode,
    ) -> Result<Option<String>, ApiRefusal> {
        let (path, _) = self.path(target).await?;
        let body =
            serde_json::to_vec(object).map_err(|error| ApiRefusal::malformed(error.to_string()))?;
        let dry_run = mode == WriteMode::DryRun;
        let params = PostParams { dry_run, field_manager: Some(MANAGER.into()) };
        let request = strictly(ApiRequest::new(path).create(&params, body));
        match self.call(target, request).await {
            Ok(created) => Ok(Some(created.head()?.uid)),
            Err(kube::Error::Api(status))
                if status.code == 409 && status.reason == "AlreadyExists" =>
            {
                Ok(None)
            }
            Err(error) => Err(trouble(target, "create", &error)),
        }
    }

    /// Merges a patch into the object with the UID that the patch names. Returns false if the
    /// object is gone or another object has its name.
    pub(in crate::controller) async fn merge(
        &self,
        target: ObjectTarget<'_>,
        changes: &Value,
    ) -> Result<bool, ApiRefusal> {
        let (path, _) = self.path(target).await?;
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        match self
            .call(target, ApiRequest::new(path).patch(target.name, &params, &Patch::Merge(changes)))
            .await
        {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(error) => Err(trouble(target, "patch", &error)),
        }
    }

    /// Deletes the object with this UID. An object that is gone counts as deleted, whether its kind
    /// still exists or not. A conflict (409) counts as a temporary refusal: either the conflict
    /// passes, or another object now has the name, which the next read shows.
    pub(in crate::controller) async fn delete(
        &self,
        target: ObjectTarget<'_>,
        uid: &str,
    ) -> Result<(), ApiRefusal> {
        let (path, _) = match self.path(target).await {
            Err(ApiRefusal::NoKind(Unserved::Anywhere, _)) => return Ok(()),
            path => path?,
        };
        let preconditions =
            Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None });
        let params = DeleteParams {
            preconditions,
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        match self.call(target, ApiRequest::new(path).delete(target.name, &params)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(trouble(target, "delete", &error)),
        }
    }

    /// Sends one call that impersonates the account of `target`. The answer is an object of bounded
    /// size.
    async fn call(
        &self,
        target: ObjectTarget<'_>,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<ObjectText, kube::Error> {
        let mut request = request.map_err(kube::Error::BuildRequest)?;
        request.extensions_mut().insert(MaxBody(MAX_OBJECT));
        let account = HeaderValue::from_str(&target.account.to_string())
            .map_err(|error| kube::Error::HttpError(error.into()))?;
        request.headers_mut().insert("Impersonate-User", account);
        self.client.request_text(request).await.map(|text| ObjectText::new(target, text))
    }

    /// Returns the path of the objects of the kind, and the namespace if the kind is namespaced.
    async fn path<'a>(
        &self,
        target: ObjectTarget<'a>,
    ) -> Result<(String, Option<&'a str>), ApiRefusal> {
        let (resource, namespaced) = self.kinds.of(target).await?;
        let namespace = namespaced.then(|| target.namespace.unwrap_or(target.account.namespace));
        if let Some(odd) =
            [Some(target.name), namespace].into_iter().flatten().find(|name| !is_path_part(name))
        {
            return Err(ApiRefusal::malformed(format!(
                "no object can have the name {:?}",
                bounded_line(odd, MAX_REASON)
            )));
        }
        let base = if resource.group.is_empty() {
            format!("/api/{}", resource.version)
        } else {
            format!("/apis/{}/{}", resource.group, resource.version)
        };
        Ok(match namespace {
            Some(namespace) => {
                (format!("{base}/namespaces/{namespace}/{}", resource.plural), Some(namespace))
            }
            None => (format!("{base}/{}", resource.plural), None),
        })
    }
}

/// Returns the same request with strict field validation: the API server refuses unknown fields.
fn strictly(
    request: Result<Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<Request<Vec<u8>>, kube::core::request::Error> {
    request.map(|mut request| {
        let uri = request.uri().to_string();
        let sign = if uri.contains('?') { '&' } else { '?' };
        if let Ok(uri) = format!("{uri}{sign}fieldValidation=Strict").parse() {
            *request.uri_mut() = uri;
        }
        request
    })
}

/// Returns whether the fields of the object and their manager show that `action` was applied. The
/// object must still have its `metadata.managedFields`.
pub(in crate::controller) fn is_applied(object: &Value, action: &ApplyAction) -> bool {
    applied::is_applied(object, &action.manifest, MANAGER)
}

#[cfg(test)]
mod tests {
    use crate::controller::cluster::impersonate::Account;
    use crate::controller::cluster::refusal::Refused;
    use kube::core::Status;

    use super::*;

    /// Returns the meaning of this answer to a patch of a Deployment.
    fn sorted(code: u16, reason: &str, message: &str) -> ApiRefusal {
        let account = Account { namespace: "shop", name: "order-saga" };
        let target = ObjectTarget {
            account,
            api_version: "apps/v1",
            kind: "Deployment",
            name: "web",
            namespace: None,
        };
        let status =
            Status { code, reason: reason.into(), message: message.into(), ..Status::default() };
        trouble(target, "patch", &kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn a_refusal_names_who_may_not_do_what() {
        let told = |trouble: &ApiRefusal| match trouble {
            ApiRefusal::Final(_, text) => format!("final: {text}"),
            ApiRefusal::Passes(text) | ApiRefusal::NoKind(_, text) => format!("passes: {text}"),
            ApiRefusal::Lost(text) => format!("lost: {text}"),
        };
        let begins = |trouble: ApiRefusal, with: &str| {
            assert!(told(&trouble).starts_with(with), "{}", told(&trouble));
        };
        let forbidden = sorted(403, "Forbidden", "deployments.apps \"web\" is forbidden");
        begins(
            forbidden,
            "final: system:serviceaccount:shop:order-saga may not patch Deployment \"web\": \
             deployments.apps",
        );
        begins(sorted(403, "Forbidden", "exceeded quota: q"), "passes");
        begins(
            sorted(403, "Forbidden", "cannot impersonate resource \"serviceaccounts\""),
            "final: the operator may not impersonate",
        );
        begins(
            sorted(409, "Conflict", "conflict with \"kubectl\""),
            "final: fields belong to another manager",
        );
        begins(
            sorted(422, "Invalid", "spec.replicas"),
            "final: the API server refused Deployment \"web\"",
        );
        begins(
            sorted(
                500,
                "InternalError",
                "failed to create typed patch object (x): .dat: field not declared",
            ),
            "final: the API server",
        );
        begins(sorted(429, "TooManyRequests", ""), "passes");
        for code in [408, 500, 503] {
            begins(sorted(code, "Timeout", "etcd"), "lost");
        }
        let wrong = |code: u16, reason: &str| match sorted(code, reason, "x") {
            ApiRefusal::Final(wrong, _) => Some(wrong),
            ApiRefusal::Passes(_) | ApiRefusal::NoKind(_, _) | ApiRefusal::Lost(_) => None,
        };
        for (code, means) in [
            (400, Refused::Malformed),
            (422, Refused::Malformed),
            (403, Refused::Forbidden),
            (404, Refused::Nowhere),
            (405, Refused::Otherwise),
        ] {
            assert_eq!(wrong(code, ""), Some(means), "{code}");
        }
        assert_eq!(
            (wrong(409, "Conflict"), wrong(409, "AlreadyExists")),
            (Some(Refused::Otherwise), None)
        );
        let webhook = "admission webhook \"a\" does not support dry run because of its sideEffects";
        let refused = sorted(400, "BadRequest", webhook);
        assert!(matches!(refused, ApiRefusal::Final(Refused::NoDryRun, _)), "{refused:?}");
    }
}
