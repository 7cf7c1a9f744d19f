//! The meaning of a failed call to the API server.

use super::impersonate::Target;
use crate::text::bounded_line;

/// The most characters that a message quotes from the API server. The bound leaves room for the
/// name of an admission policy, twice, and for what the policy demands.
pub(crate) const MAX_REASON: usize = 500;

/// The reason why a call did not take effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
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
pub(crate) enum Unserved {
    /// The kind is not served under this name and version. Its objects may exist under another
    /// version.
    Here,
    /// The group does not serve the kind in any version: no object of the kind exists.
    Anywhere,
}

/// The reason for a refusal that a person has to correct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No such object can exist: its content or its name is invalid.
    Malformed,
    /// The account lacks the right, or the operator may not impersonate the account.
    Forbidden,
    /// What should contain the object does not exist, such as its namespace.
    Nowhere,
    /// Another reason, such as fields that belong to another manager.
    Otherwise,
}

impl Trouble {
    /// Returns the refusal of an object that cannot exist.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::Final(Refused::Malformed, message.into())
    }
}

/// Returns the meaning of an error of the client.
pub(crate) fn trouble(target: Target<'_>, verb: &str, error: &kube::Error) -> Trouble {
    let kube::Error::Api(status) = error else {
        return Trouble::Lost("the API server did not answer".into());
    };
    let said = bounded_line(&status.message, MAX_REASON);
    let account = target.account;
    let refused = || format!("the API server refused {} {:?}: {said}", target.kind, target.name);
    match status.code {
        403 if status.message.contains("exceeded quota") => Trouble::Passes(said),
        403 if status.message.contains("cannot impersonate") => Trouble::Final(
            Refused::Forbidden,
            format!(
                "the operator may not impersonate {account}: give the operator the verb \
                 impersonate on serviceaccounts in namespace {:?}",
                account.namespace
            ),
        ),
        403 => Trouble::Final(
            Refused::Forbidden,
            format!("{account} may not {verb} {} {:?}: {said}", target.kind, target.name),
        ),
        409 if status.reason == "Conflict" && verb == "patch" => Trouble::Final(
            Refused::Otherwise,
            format!("fields belong to another manager: {said}; set force to take them over"),
        ),
        401 | 409 | 429 => Trouble::Passes(said),
        500 if status.message.contains("failed calling webhook") => Trouble::Passes(said),
        // The API server answers server-side apply with this 500 if the manifest has an unknown
        // field.
        500 if status.message.contains("failed to create typed patch object") => {
            Trouble::malformed(refused())
        }
        400 | 422 => Trouble::malformed(refused()),
        404 => Trouble::Final(Refused::Nowhere, refused()),
        401..=499 if status.code != 408 => Trouble::Final(Refused::Otherwise, refused()),
        code => Trouble::Lost(format!("the API server answered {code}: {said}")),
    }
}
