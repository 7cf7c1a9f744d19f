//! What an answer of the API server means that is no success.

use super::impersonate::Target;
use crate::text::bounded_line;

/// The most characters of what the API server says: room for the name of a policy, twice, and what
/// it wants.
pub(crate) const MAX_REASON: usize = 500;

/// Why a call did not do what it was to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It was refused, and a person has to mend something.
    Final(Refused, String),
    /// It was refused for a reason that passes, before anything was done.
    Passes(String),
    /// The API server says that it has no such kind: none of its objects can be written yet.
    NoKind(Unserved, String),
    /// Nobody can tell whether it was done.
    Lost(String),
}

/// Where there is no such kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unserved {
    /// Under this name and version: its objects may stand under another one.
    Here,
    /// Anywhere in its group: no object of it is there.
    Anywhere,
}

/// What is wrong about a call that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No such object can be.
    Malformed,
    /// The account may not do it, or the operator may not act as the account.
    Forbidden,
    /// What it would stand in is not there, such as its namespace.
    Nowhere,
    /// Something else, such as fields that belong to another manager.
    Otherwise,
}

impl Trouble {
    /// No such object can be.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::Final(Refused::Malformed, message.into())
    }
}

/// What an error of the client means.
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
        // What an unknown field comes to in server-side apply.
        500 if status.message.contains("failed to create typed patch object") => {
            Trouble::malformed(refused())
        }
        400 | 422 => Trouble::malformed(refused()),
        404 => Trouble::Final(Refused::Nowhere, refused()),
        401..=499 if status.code != 408 => Trouble::Final(Refused::Otherwise, refused()),
        code => Trouble::Lost(format!("the API server answered {code}: {said}")),
    }
}
