//! The meaning of a failed call to the API server.

use super::impersonate::ObjectTarget;
use crate::{
    api::limits::MAX_OBJECT, service::client::body_limit::is_too_large, text::bounded_line,
};

/// The most characters that a message quotes from the API server. The bound leaves room for the
/// name of an admission policy, twice, and for what the policy demands.
pub(in crate::controller) const MAX_REASON: usize = 500;

/// The reason why a call did not take effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) enum ApiRefusal {
    /// The call was refused. A person has to correct something.
    Final(Refused, String),
    /// The call was refused for a temporary reason, before anything was done.
    Passes(String),
    /// The API server does not serve the kind: no object of the kind can be written yet.
    NoKind(Unserved, String),
    /// It is unknown whether the call took effect.
    Lost(String),
}

/// The scope in which a kind is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) enum Unserved {
    /// The kind is not served under this name and version. Its objects may exist under another
    /// version.
    Here,
    /// The group does not serve the kind in any version: no object of the kind exists.
    Anywhere,
}

/// The reason for a refusal that a person has to correct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) enum Refused {
    /// No such object can exist: its content or its name is invalid.
    Malformed,
    /// The account lacks the right.
    Forbidden,
    /// The operator may not impersonate the account.
    NotImpersonated,
    /// What should contain the object does not exist, such as its namespace.
    Nowhere,
    /// An admission webhook takes no dry run, so nothing is known of the object.
    NoDryRun,
    /// The object is larger than what is read of one object, or nested too deep.
    TooLarge,
    /// Another reason, such as fields that belong to another manager.
    Otherwise,
}

impl ApiRefusal {
    /// Returns the refusal of an object that cannot exist.
    pub(in crate::controller) fn malformed(message: impl Into<String>) -> Self {
        Self::Final(Refused::Malformed, message.into())
    }
}

/// The class of a failed call, by the answer alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) enum ErrorClass {
    /// The name of the object to create is taken.
    Exists,
    /// Another write came first, or another manager owns the fields.
    Conflict,
    /// The call was refused for a temporary reason, before anything was done.
    Passing,
    /// The call was refused. A person has to correct something.
    Permanent(Refused),
    /// It is unknown whether the call took effect.
    Lost,
}

/// Returns the class of an error of the client. This is the one table of what the answers of the
/// API server mean for a write.
pub(in crate::controller) fn classify(error: &kube::Error) -> ErrorClass {
    let kube::Error::Api(status) = error else { return ErrorClass::Lost };
    let says = |text: &str| status.message.contains(text);
    match status.code {
        409 if status.reason == "AlreadyExists" => ErrorClass::Exists,
        409 if status.reason == "Conflict" => ErrorClass::Conflict,
        // A 401 is about the operator's own credentials. No saga may fail while they are being
        // renewed.
        401 | 409 | 429 => ErrorClass::Passing,
        403 if says("exceeded quota") => ErrorClass::Passing,
        400 | 403 | 404 | 422 if says("does not support dry run") => {
            ErrorClass::Permanent(Refused::NoDryRun)
        }
        403 if says("cannot impersonate") => ErrorClass::Permanent(Refused::NotImpersonated),
        403 => ErrorClass::Permanent(Refused::Forbidden),
        // The API server calls webhooks before it stores anything, so nothing was done.
        500 if says("failed calling webhook") => ErrorClass::Passing,
        // The API server answers server-side apply with this 500 if the manifest has an unknown
        // field.
        500 if says("failed to create typed patch object") => {
            ErrorClass::Permanent(Refused::Malformed)
        }
        400 | 422 => ErrorClass::Permanent(Refused::Malformed),
        404 => ErrorClass::Permanent(Refused::Nowhere),
        408 => ErrorClass::Lost,
        402..=499 => ErrorClass::Permanent(Refused::Otherwise),
        _ => ErrorClass::Lost,
    }
}

/// Returns the meaning of an error of the client for the object of a step.
pub(in crate::controller) fn trouble(
    target: ObjectTarget<'_>,
    verb: &str,
    error: &kube::Error,
) -> ApiRefusal {
    let kube::Error::Api(status) = error else {
        return match (is_too_large(error), verb) {
            (true, "get") => ApiRefusal::Final(
                Refused::TooLarge,
                format!(
                    "{} {:?} is too large: at most {MAX_OBJECT} bytes are read of one object",
                    target.kind, target.name
                ),
            ),
            // The write may have taken effect. The next read of the object meets the same bound.
            (true, _) => ApiRefusal::Lost("the API server's answer is too large".into()),
            (false, _) => ApiRefusal::Lost("the API server did not answer".into()),
        };
    };
    let said = bounded_line(&status.message, MAX_REASON);
    let account = target.account;
    let permanent = |kind: Refused| match kind {
        Refused::NotImpersonated => format!(
            "the operator may not impersonate {account}: give the operator the verb impersonate \
             on serviceaccounts in namespace {:?}",
            account.namespace
        ),
        Refused::Forbidden => {
            format!("{account} may not {verb} {} {:?}: {said}", target.kind, target.name)
        }
        Refused::Malformed
        | Refused::Nowhere
        | Refused::NoDryRun
        | Refused::TooLarge
        | Refused::Otherwise => {
            format!("the API server refused {} {:?}: {said}", target.kind, target.name)
        }
    };
    match classify(error) {
        ErrorClass::Conflict if verb == "patch" => ApiRefusal::Final(
            Refused::Otherwise,
            format!("fields belong to another manager: {said}; set force to take them over"),
        ),
        ErrorClass::Exists | ErrorClass::Conflict | ErrorClass::Passing => ApiRefusal::Passes(said),
        ErrorClass::Permanent(kind) => ApiRefusal::Final(kind, permanent(kind)),
        ErrorClass::Lost => {
            ApiRefusal::Lost(format!("the API server answered {}: {said}", status.code))
        }
    }
}
