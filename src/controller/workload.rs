//! The children that the operator creates itself, Pods and Jobs, and where the two differ.

use std::{fmt::Debug, sync::Arc, time::Duration};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{batch::v1::Job, core::v1::Pod},
};
use kube::{Api, Resource, ResourceExt, api::ListParams};
use serde::Serialize;

use super::{
    clock::now,
    cluster::{
        connection::Cluster, error::Error, namespace::is_terminating, watch_health::WatchedKind,
    },
    memory::job_pods::{JobPodMemory, JobPodsView},
};
use crate::{
    api::names::{AttemptId, child_name, job_name},
    model::observation::{ChildState, End},
    objects::{
        child::{after_job, job_is_terminating, only_kept},
        job::{
            self,
            fields::made_by,
            known_pods::{KnownPods, ListedPods},
        },
        pod::{self, fields::CONTROLLER_UID},
        stored::{InParts, StoredObject},
    },
};

/// The most pods of one Job that one live read returns.
const MOST_PODS: u32 = 500;

/// A kind of child that the operator creates itself.
pub(in crate::controller) trait Workload:
    InParts
    + Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Debug
    + Serialize
    + Send
    + Sync
{
    /// What a call does, for error messages.
    const READ: &'static str;
    const CREATE: &'static str;
    const DELETE: &'static str;
    /// The watch that shows this kind.
    const WATCHED: WatchedKind;

    /// Returns the name of an attempt's child.
    fn name_of(saga: &str, uid: &str, attempt: &AttemptId) -> String;

    /// Returns the child of this name from the cache.
    fn cached(cluster: &Cluster, namespace: &str, name: &str) -> Option<Arc<Self>>;

    /// Returns the state of the child. `age`: how long this process has known the child.
    async fn state(
        &self,
        cluster: &Cluster,
        memory: JobPodsView<'_>,
        age: Duration,
    ) -> Result<ChildState, Error>;

    /// Returns whether a part of the child is terminating. If its end is more than 60 s overdue,
    /// also says what may still run.
    fn deletion(&self, memory: JobPodsView<'_>) -> (bool, Option<String>);

    /// Returns the end of a child that was deleted long ago and is still kept, if no part of it
    /// runs.
    async fn kept(&self, cluster: &Cluster, memory: JobPodsView<'_>) -> Result<Option<End>, Error>;

    /// Returns whether a part of the child runs that the child's deletion does not end.
    fn runs_on(&self, memory: JobPodsView<'_>) -> bool;

    /// Returns the end of a child whose own container ended by a signal, if another container of
    /// the child still runs. The duration says how long the operator waits for the other container.
    fn held_up(&self, memory: JobPodsView<'_>) -> Option<(End, Duration)>;

    /// Reads the remaining pods live, after a live read did not find the child. `child`: its UID.
    /// Returns what is known of the pods now, or `None` if nothing more was read.
    async fn rest(
        cluster: &Cluster,
        memory: JobPodsView<'_>,
        namespace: &str,
        child: &str,
    ) -> Result<Option<KnownPods>, Error>;

    /// Returns the state of a child that a live read did not find, from memory. `child`: its UID,
    /// if it was ever seen, and how long this process has known the child. `listed`: what a live
    /// read showed of the remaining pods. `gone`: the end that the watch delivered. Returns `None`
    /// if memory holds nothing about the child.
    fn after(
        memory: JobPodsView<'_>,
        child: Option<(&str, Duration)>,
        listed: Option<&KnownPods>,
        gone: Option<End>,
    ) -> Option<ChildState>;

    /// Returns whether no part of the child can have started. If so, its deletion under the version
    /// that was read proves that no part ever will.
    fn is_idle(&self) -> bool;

    /// Returns whether the child succeeded, by the cache.
    fn succeeded(&self) -> bool;

    /// Returns whether nothing of the child runs or will run, by the cache.
    fn is_over(&self) -> bool;

    /// Notes that this process just created the child.
    fn born(&self, memory: &JobPodMemory);

    /// Returns the API of this kind.
    fn api(cluster: &Cluster, namespace: &str) -> Api<StoredObject<Self>> {
        Api::namespaced(cluster.client.clone(), namespace)
    }

    /// Returns the name of this kind.
    fn word() -> String {
        Self::kind(&()).into_owned()
    }
}

impl Workload for Pod {
    const READ: &'static str = "read a Pod";
    const CREATE: &'static str = "create a Pod";
    const DELETE: &'static str = "delete a Pod";
    const WATCHED: WatchedKind = WatchedKind::Pod;

    fn name_of(saga: &str, uid: &str, attempt: &AttemptId) -> String {
        child_name(saga, uid, attempt)
    }

    fn cached(cluster: &Cluster, namespace: &str, name: &str) -> Option<Arc<Self>> {
        cluster.cached_pod(namespace, name)
    }

    async fn state(
        &self,
        _: &Cluster,
        _: JobPodsView<'_>,
        age: Duration,
    ) -> Result<ChildState, Error> {
        Ok(pod::state::state(self, age))
    }

    fn deletion(&self, _: JobPodsView<'_>) -> (bool, Option<String>) {
        (self.metadata.deletion_timestamp.is_some(), pod::state::stuck(self, now()))
    }

    async fn kept(&self, _: &Cluster, _: JobPodsView<'_>) -> Result<Option<End>, Error> {
        // If a Pod is kept after it has ended, the end does not change.
        Ok(None)
    }

    fn runs_on(&self, _: JobPodsView<'_>) -> bool {
        false
    }

    fn held_up(&self, _: JobPodsView<'_>) -> Option<(End, Duration)> {
        pod::state::held_up(self)
    }

    async fn rest(
        _: &Cluster,
        _: JobPodsView<'_>,
        _: &str,
        _: &str,
    ) -> Result<Option<KnownPods>, Error> {
        Ok(None)
    }

    fn after(
        _: JobPodsView<'_>,
        _: Option<(&str, Duration)>,
        _: Option<&KnownPods>,
        gone: Option<End>,
    ) -> Option<ChildState> {
        gone.map(ChildState::Ended)
    }

    fn is_idle(&self) -> bool {
        pod::start::never_bound(self)
    }

    fn succeeded(&self) -> bool {
        self.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Succeeded")
    }

    fn is_over(&self) -> bool {
        let phase = self.status.as_ref().and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    }

    fn born(&self, _: &JobPodMemory) {}
}

impl Workload for Job {
    const READ: &'static str = "read a Job";
    const CREATE: &'static str = "create a Job";
    const DELETE: &'static str = "delete a Job";
    const WATCHED: WatchedKind = WatchedKind::Job;

    fn name_of(saga: &str, uid: &str, attempt: &AttemptId) -> String {
        job_name(saga, uid, attempt)
    }

    fn cached(cluster: &Cluster, namespace: &str, name: &str) -> Option<Arc<Self>> {
        cluster.cached_job(namespace, name)
    }

    async fn state(
        &self,
        cluster: &Cluster,
        memory: JobPodsView<'_>,
        age: Duration,
    ) -> Result<ChildState, Error> {
        let mut job_pods = job_pods(self, memory);
        if job::state::wants_pods(self, &job_pods) {
            job_pods = with_live_pods(self, cluster, memory).await?;
        }
        Ok(job::state::state(self, &job_pods, age))
    }

    fn deletion(&self, memory: JobPodsView<'_>) -> (bool, Option<String>) {
        let job_pods = job_pods(self, memory);
        (job_is_terminating(self, &job_pods), job::state::stuck(Some(self), &job_pods, now()))
    }

    /// No controller creates pods for this Job any more. So the Job has ended when its existing
    /// pods have ended.
    async fn kept(&self, cluster: &Cluster, memory: JobPodsView<'_>) -> Result<Option<End>, Error> {
        let job_pods = job_pods(self, memory);
        if !only_kept(self, &job_pods) {
            return Ok(None);
        }
        Ok(job::state::gone(self, &with_live_pods(self, cluster, memory).await?))
    }

    /// If a finalizer keeps a Job, nobody ends its pods, unless the Job is deleted in the
    /// foreground.
    fn runs_on(&self, memory: JobPodsView<'_>) -> bool {
        job::known_pods::runs_on(&job_pods(self, memory))
    }

    fn held_up(&self, memory: JobPodsView<'_>) -> Option<(End, Duration)> {
        job::state::held_up(self, &job_pods(self, memory))
    }

    async fn rest(
        cluster: &Cluster,
        memory: JobPodsView<'_>,
        namespace: &str,
        child: &str,
    ) -> Result<Option<KnownPods>, Error> {
        let listed = live_pods(cluster, namespace, child).await?;
        // The family is read after the list, because the watch may have delivered an end during the
        // list.
        let (job_pods, _) = memory.of(child);
        // The states that the watch showed earlier may never be updated: if a Job is deleted
        // without its pods, the pods lose their reference to the Job.
        Ok(listed.map(|listed| as_listed(cluster, namespace, job_pods, listed)))
    }

    /// The pods of a Job may outlive the Job. The attempt has ended when they have ended.
    fn after(
        memory: JobPodsView<'_>,
        child: Option<(&str, Duration)>,
        listed: Option<&KnownPods>,
        gone: Option<End>,
    ) -> Option<ChildState> {
        let Some((child, age)) = child else { return gone.map(ChildState::Ended) };
        let (job_pods, last) =
            listed.map_or_else(|| memory.of(child), |listed| memory.corrected(child, listed));
        after_job(child, &job_pods, last.as_deref(), age).or(gone.map(ChildState::Ended))
    }

    /// Another controller creates the pods of a Job. So nothing proves that none will come.
    fn is_idle(&self) -> bool {
        false
    }

    fn succeeded(&self) -> bool {
        job::state::succeeded(self)
    }

    fn is_over(&self) -> bool {
        job::state::is_over(self)
    }

    fn born(&self, memory: &JobPodMemory) {
        memory.born(self.metadata.uid.as_deref().unwrap_or_default());
    }
}

fn job_pods(job: &Job, memory: JobPodsView<'_>) -> KnownPods {
    memory.of(job.metadata.uid.as_deref().unwrap_or_default()).0
}

/// Returns the pods of a Job with those that a live read shows. The cache of Pods may be older than
/// the cache of Jobs.
async fn with_live_pods(
    job: &Job,
    cluster: &Cluster,
    memory: JobPodsView<'_>,
) -> Result<KnownPods, Error> {
    let (uid, namespace) =
        (job.metadata.uid.as_deref().unwrap_or_default(), job.namespace().unwrap_or_default());
    let listed = live_pods(cluster, &namespace, uid).await?;
    // The family is read after the list, because the watch may have delivered an end during the
    // list.
    let job_pods = job_pods(job, memory);
    Ok(match listed {
        Some(listed) => as_listed(cluster, &namespace, job_pods, listed),
        // Nothing more can be read: the family holds only the pods that were seen.
        None => KnownPods { lost: true, ..job_pods },
    })
}

/// Combines a family with the pods that a live read shows. If the cache shows a pod that the live
/// read does not show, the pod is gone. The watch will soon deliver its last state. Until then its
/// end is not known.
fn as_listed(
    cluster: &Cluster,
    namespace: &str,
    job_pods: KnownPods,
    mut listed: ListedPods,
) -> KnownPods {
    let is_same = |pod: &Pod, other: &Pod| pod.metadata.uid == other.metadata.uid;
    let barred = cluster.watch_health.is(namespace, WatchedKind::Pod);
    let watched = |pod: &Pod| {
        !barred
            && cluster
                .cached_pod(namespace, &pod.name_any())
                .is_some_and(|cached| is_same(pod, &cached))
    };
    let awaited: Vec<_> = job_pods
        .pods
        .iter()
        .filter(|pod| !listed.pods.iter().any(|there| is_same(pod, there)) && watched(pod))
        .collect();
    listed.pods.extend(awaited.into_iter().map(|pod| Pod::clone(pod)));
    job_pods.as_listed(listed)
}

/// Reads the pods of the Job with this UID live. Returns `None` if the operator may not read them
/// any more because the namespace is terminating.
async fn live_pods(
    cluster: &Cluster,
    namespace: &str,
    uid: &str,
) -> Result<Option<ListedPods>, Error> {
    let parameters =
        ListParams::default().labels(&format!("{CONTROLLER_UID}={uid}")).limit(MOST_PODS);
    let listed = match cluster
        .pods_of(namespace)
        .list(&parameters)
        .await
        .map_err(Error::api("read the pods of a Job"))
    {
        Err(error) if error.is_forbidden() && is_terminating(cluster, namespace).await? => {
            return Ok(None);
        }
        listed => listed?,
    };
    let more = listed.metadata.continue_.is_some_and(|more| !more.is_empty());
    let pods = listed.items.into_iter().map(|StoredObject(pod)| pod);
    let pods = pods.filter(|pod| made_by(pod) == Some(uid)).collect();
    Ok(Some(ListedPods { pods, more }))
}
