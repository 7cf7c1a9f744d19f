//! Looks up kinds of objects.
//!
//! # Caveats
//! The operator looks up kinds under its own account. Every account may do that.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use kube::{
    Client, Resource,
    core::{ApiResource, GroupVersionKind},
    discovery::{self, Scope},
    error::DiscoveryError,
};

use super::{
    impersonate::ObjectTarget,
    refusal::{ApiRefusal, MAX_REASON, Unserved},
};
use crate::{api::Saga, text::bounded_line};

/// How long a looked-up kind is remembered.
const KNOWN_FOR: Duration = Duration::from_mins(10);
/// The most kinds that are remembered.
const MOST_KINDS: usize = 512;

/// A kind, and whether its objects are namespaced.
type KnownKind = (ApiResource, bool);

/// The kinds that were looked up.
pub(super) struct Kinds {
    client: Client,
    known: Mutex<HashMap<GroupVersionKind, (Instant, KnownKind)>>,
}

impl Kinds {
    /// Creates an empty memory. Lookups go through `client`, the operator's own client.
    pub(super) fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    /// Returns the kind of the object.
    pub(super) async fn of(&self, target: ObjectTarget<'_>) -> Result<KnownKind, ApiRefusal> {
        let (group, version) =
            target.api_version.split_once('/').unwrap_or(("", target.api_version));
        // Group and version become parts of a path that the operator reads under its own account.
        if !(group.is_empty() || is_path_part(group)) || !is_path_part(version) {
            return Err(ApiRefusal::malformed(format!(
                "there is no apiVersion {:?}",
                bounded_line(target.api_version, MAX_REASON)
            )));
        }
        // The kind Saga needs no lookup, so that no call comes between a decision and a write to a
        // child saga.
        if (target.api_version, target.kind)
            == (Saga::api_version(&()).as_ref(), Saga::kind(&()).as_ref())
        {
            return Ok((ApiResource::erase::<Saga>(&()), true));
        }
        let kind = GroupVersionKind::gvk(group, version, target.kind);
        let known = |(since, known): &(Instant, KnownKind)| {
            (since.elapsed() < KNOWN_FOR).then(|| known.clone())
        };
        if let Some(known) =
            self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&kind).and_then(known)
        {
            return Ok(known);
        }
        let (resource, capabilities) = match discovery::pinned_kind(&self.client, &kind).await {
            Ok(found) => found,
            Err(kube::Error::Discovery(DiscoveryError::MissingKind(_))) => {
                return Err(self.unserved(target, group).await);
            }
            Err(kube::Error::Api(status)) if status.code == 404 => {
                return Err(self.unserved(target, group).await);
            }
            Err(error) => return Err(kinds_unread(&error)),
        };
        let known = (resource, matches!(capabilities.scope, Scope::Namespaced));
        let mut kinds = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.len() >= MOST_KINDS {
            kinds.clear();
        }
        kinds.insert(kind, (Instant::now(), known.clone()));
        Ok(known)
    }

    /// Returns the meaning of a kind that is not served in this version. The groups of Kubernetes
    /// itself always serve all their kinds, so the name of a missing kind of theirs is misspelt.
    async fn unserved(&self, target: ObjectTarget<'_>, group: &str) -> ApiRefusal {
        if !group.contains('.') || group.ends_with(".k8s.io") {
            return ApiRefusal::NoKind(Unserved::Here, no_kind(target));
        }
        let served = match discovery::group(&self.client, group).await {
            Ok(served) => served,
            Err(kube::Error::Discovery(DiscoveryError::MissingApiGroup(_))) => {
                return ApiRefusal::NoKind(Unserved::Anywhere, no_kind(target));
            }
            Err(error) => return kinds_unread(&error),
        };
        let mut kinds = served.versions().flat_map(|version| served.versioned_resources(version));
        match kinds.find(|(resource, _)| resource.kind.eq_ignore_ascii_case(target.kind)) {
            Some((there, _)) => {
                let message = format!(
                    "{}, but {} in {}: write that",
                    no_kind(target),
                    there.kind,
                    there.api_version
                );
                ApiRefusal::NoKind(Unserved::Here, bounded_line(&message, MAX_REASON))
            }
            None => ApiRefusal::NoKind(Unserved::Anywhere, no_kind(target)),
        }
    }
}

fn kinds_unread(error: &kube::Error) -> ApiRefusal {
    ApiRefusal::Passes(bounded_line(
        &format!("the kinds of the cluster cannot be read just now: {error}"),
        MAX_REASON,
    ))
}

/// Returns whether a name can be one part of a path without escaping. The client cannot send any
/// other name, and a call that was never sent must not count as lost.
pub(super) fn is_path_part(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~@!$&'()*+,;=".contains(&byte);
    !matches!(name, "" | "." | "..") && name.bytes().all(allowed)
}

fn no_kind(target: ObjectTarget<'_>) -> String {
    format!("the cluster has no kind {} in {} yet", target.kind, target.api_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_path_or_none() {
        for name in ["web", "system:node", "a.b", "A-1", "x@y"] {
            assert!(is_path_part(name), "{name}");
        }
        for name in [
            "", ".", "..", "a/b", "a/../b", "a b", "a?b", "a#b", "a%2Fb", "a\\b", "a\nb", "ü",
            "{a}",
        ] {
            assert!(!is_path_part(name), "{name}");
        }
    }
}
