//! The children that the operator makes itself, Pods and Jobs: what is different about them.

use std::{fmt::Debug, sync::Arc, time::Duration};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{batch::v1::Job, core::v1::Pod},
};
use kube::{Api, Resource, ResourceExt, api::ListParams};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    clock::now,
    cluster::{error::Error, namespace::namespace_goes, watch_health::Watched},
    context::Context,
    memory::attempts::AttemptKey,
};
use crate::{
    api::names::{AttemptId, child_name, job_name},
    model::observation::ChildState,
    objects::{
        child::{after_job, job_goes, only_kept},
        job::{self, fields::made_by, state::Family},
        pod::{self, fields::CONTROLLER_UID},
    },
};

/// The most pods of one Job that are read at once.
const MOST_PODS: u32 = 500;

/// A kind of such children.
pub(crate) trait Child:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
{
    /// What is done to it, for errors.
    const READ: &'static str;
    const CREATE: &'static str;
    const DELETE: &'static str;
    /// The watch that brings it.
    const WATCHED: Watched;

    /// The name of an attempt's child.
    fn name_of(saga: &str, uid: &str, attempt: &AttemptId) -> String;

    /// The child of this name as the watch last showed it.
    fn cached(context: &Context, namespace: &str, name: &str) -> Option<Arc<Self>>;

    /// Its state.
    async fn state(&self, context: &Context, age: Duration) -> Result<ChildState, Error>;

    /// Whether something of it is being deleted, and where that should long be over, what may still
    /// run.
    fn deletion(&self, context: &Context) -> (bool, Option<String>);

    /// The end of one that is kept although it was deleted long ago, where nothing of it runs.
    async fn kept(&self, context: &Context) -> Result<Option<ChildState>, Error>;

    /// Whether something of it runs that its own deletion does not end.
    fn runs_on(&self, context: &Context) -> bool;

    /// Its end where a container keeps it from being told, and for how long it is waited for all
    /// the same.
    fn held_up(&self, context: &Context) -> Option<(ChildState, Duration)>;

    /// The pods that are left of one that a live read did not find, by a live read of their own.
    /// `child`: its UID.
    async fn rest(context: &Context, namespace: &str, child: &str) -> Result<Vec<Arc<Pod>>, Error>;

    /// The state of one that a live read did not find, by what is remembered of it. `child`: its
    /// UID, where it was ever seen. `gone`: what the watch brought of its end. `None` where nothing
    /// tells of it.
    fn after(
        context: &Context,
        key: &AttemptKey,
        child: Option<&str>,
        gone: Option<ChildState>,
    ) -> Option<ChildState>;

    /// Whether nothing of it can have started. Its deletion under the version that was read then
    /// proves that nothing ever will.
    fn is_idle(&self) -> bool;

    /// Whether it succeeded, as the watch shows it.
    fn succeeded(&self) -> bool;

    /// Notes that this process just created it.
    fn born(&self, context: &Context);

    /// The API of its kind.
    fn api(context: &Context, namespace: &str) -> Api<Self> {
        Api::namespaced(context.client.clone(), namespace)
    }

    /// Its kind, in a word.
    fn word() -> String {
        Self::kind(&()).into_owned()
    }
}

impl Child for Pod {
    const READ: &'static str = "read a Pod";
    const CREATE: &'static str = "create a Pod";
    const DELETE: &'static str = "delete a Pod";
    const WATCHED: Watched = Watched::Pod;

    fn name_of(saga: &str, uid: &str, attempt: &AttemptId) -> String {
        child_name(saga, uid, attempt)
    }

    fn cached(context: &Context, namespace: &str, name: &str) -> Option<Arc<Self>> {
        context.cached_pod(namespace, name)
    }

    async fn state(&self, _: &Context, age: Duration) -> Result<ChildState, Error> {
        Ok(pod::state::state(self, age))
    }

    fn deletion(&self, _: &Context) -> (bool, Option<String>) {
        (self.metadata.deletion_timestamp.is_some(), pod::state::stuck(self, now()))
    }

    async fn kept(&self, _: &Context) -> Result<Option<ChildState>, Error> {
        // What has ended has ended, whoever keeps it.
        Ok(None)
    }

    fn runs_on(&self, _: &Context) -> bool {
        false
    }

    fn held_up(&self, _: &Context) -> Option<(ChildState, Duration)> {
        pod::state::held_up(self)
    }

    async fn rest(_: &Context, _: &str, _: &str) -> Result<Vec<Arc<Pod>>, Error> {
        Ok(Vec::new())
    }

    fn after(
        _: &Context,
        _: &AttemptKey,
        _: Option<&str>,
        gone: Option<ChildState>,
    ) -> Option<ChildState> {
        gone
    }

    fn is_idle(&self) -> bool {
        pod::start::never_bound(self)
    }

    fn succeeded(&self) -> bool {
        self.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Succeeded")
    }

    fn born(&self, _: &Context) {}
}

impl Child for Job {
    const READ: &'static str = "read a Job";
    const CREATE: &'static str = "create a Job";
    const DELETE: &'static str = "delete a Job";
    const WATCHED: Watched = Watched::Job;

    fn name_of(saga: &str, uid: &str, attempt: &AttemptId) -> String {
        job_name(saga, uid, attempt)
    }

    fn cached(context: &Context, namespace: &str, name: &str) -> Option<Arc<Self>> {
        context.cached_job(namespace, name)
    }

    async fn state(&self, context: &Context, age: Duration) -> Result<ChildState, Error> {
        let mut family = family(self, context);
        if job::state::wants_pods(self, &family) {
            family = with_live_pods(self, context).await?;
        }
        Ok(job::state::state(self, &family, age))
    }

    fn deletion(&self, context: &Context) -> (bool, Option<String>) {
        let family = family(self, context);
        (job_goes(self, &family), job::state::stuck(Some(self), &family, now()))
    }

    /// Nothing makes pods for it any more: it has ended when those that there are have.
    async fn kept(&self, context: &Context) -> Result<Option<ChildState>, Error> {
        let family = family(self, context);
        if !only_kept(self, &family) {
            return Ok(None);
        }
        Ok(job::state::gone(self, &with_live_pods(self, context).await?))
    }

    /// Of a Job that a finalizer keeps, nobody ends the pods unless it is deleted in the
    /// foreground.
    fn runs_on(&self, context: &Context) -> bool {
        job::state::runs_on(&family(self, context))
    }

    fn held_up(&self, context: &Context) -> Option<(ChildState, Duration)> {
        job::state::held_up(self, &family(self, context))
    }

    async fn rest(context: &Context, namespace: &str, child: &str) -> Result<Vec<Arc<Pod>>, Error> {
        let listed = live_pods(context, namespace, child).await?;
        // Only now: the watch may have told of an end while they were read.
        let (mut family, _) = context.families.of(child);
        // What was seen of them earlier may never change any more: whoever takes a Job alone takes
        // its name from its pods.
        if let Some((pods, more)) = listed {
            family = as_listed(context, namespace, family, pods, more);
            context.families.correct(child, &family);
        }
        Ok(family.pods)
    }

    /// Its pods may outlive it: it has ended when they have.
    fn after(
        context: &Context,
        key: &AttemptKey,
        child: Option<&str>,
        gone: Option<ChildState>,
    ) -> Option<ChildState> {
        let Some(child) = child else { return gone };
        let (family, last) = context.families.of(child);
        let since = context
            .attempts
            .look(key, |known| known.child.as_ref().map(|(since, _)| since.elapsed()));
        after_job(child, &family, last.as_deref(), since.unwrap_or_default()).or(gone)
    }

    /// Its pods are another's to make: nothing proves that none comes.
    fn is_idle(&self) -> bool {
        false
    }

    fn succeeded(&self) -> bool {
        job::state::succeeded(self)
    }

    fn born(&self, context: &Context) {
        context.families.born(self.metadata.uid.as_deref().unwrap_or_default());
    }
}

fn family(job: &Job, context: &Context) -> Family {
    context.families.of(job.metadata.uid.as_deref().unwrap_or_default()).0
}

/// The pods of a Job, those that a live read shows among them: the cache of pods may be older than
/// that of Jobs.
async fn with_live_pods(job: &Job, context: &Context) -> Result<Family, Error> {
    let (uid, namespace) =
        (job.metadata.uid.as_deref().unwrap_or_default(), job.namespace().unwrap_or_default());
    let listed = live_pods(context, &namespace, uid).await?;
    // Only now: the watch may have told of an end while they were read.
    let family = family(job, context);
    Ok(match listed {
        Some((pods, more)) => as_listed(context, &namespace, family, pods, more),
        // What was seen is all that there is.
        None => Family { lost: true, ..family },
    })
}

/// The same family where a live read shows these pods. One that it does not show and the watch
/// still does is gone, and the watch is about to bring how it last was: until then nobody can tell
/// its end.
fn as_listed(
    context: &Context,
    namespace: &str,
    family: Family,
    mut listed: Vec<Pod>,
    more: bool,
) -> Family {
    let is_same = |pod: &Pod, other: &Pod| pod.metadata.uid == other.metadata.uid;
    let barred = context.barred.is(namespace, Watched::Pod);
    let watched = |pod: &Pod| {
        !barred
            && context
                .cached_pod(namespace, &pod.name_any())
                .is_some_and(|cached| is_same(pod, &cached))
    };
    let awaited: Vec<_> = family
        .pods
        .iter()
        .filter(|pod| !listed.iter().any(|there| is_same(pod, there)) && watched(pod))
        .collect();
    listed.extend(awaited.into_iter().map(|pod| Pod::clone(pod)));
    family.as_listed(listed, more)
}

/// The pods of the Job with this UID as a live read shows them, and whether there are more; `None`
/// where nobody may look any more, or will.
async fn live_pods(
    context: &Context,
    namespace: &str,
    uid: &str,
) -> Result<Option<(Vec<Pod>, bool)>, Error> {
    let parameters =
        ListParams::default().labels(&format!("{CONTROLLER_UID}={uid}")).limit(MOST_PODS);
    let listed = match context
        .pods_of(namespace)
        .list(&parameters)
        .await
        .map_err(Error::api("read the pods of a Job"))
    {
        Err(error) if error.is_forbidden() && namespace_goes(context, namespace).await? => {
            return Ok(None);
        }
        listed => listed?,
    };
    let more = listed.metadata.continue_.is_some_and(|more| !more.is_empty());
    Ok(Some((listed.items.into_iter().filter(|pod| made_by(pod) == Some(uid)).collect(), more)))
}
