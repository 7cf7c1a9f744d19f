//! Applies and deletes the objects of steps.
//!
//! # Guarantees
//! Only the object with the UID that the status names is deleted. A refusal that a person has to
//! correct ends the attempt.

use super::{
    performance::{Next, Performance},
    refused::{Noted, note},
};
use crate::{
    controller::{
        cluster::{impersonate::ObjectTarget, objects::WriteMode},
        memory::attempt::AttemptKey,
        observe::object::{account, mark},
    },
    model::saga::{ValidSaga, Work},
};

/// Applies the object, or deletes the object with this UID.
pub(in crate::controller) async fn begin(
    performance: &Performance<'_>,
    saga: &ValidSaga,
    key: &AttemptKey,
    work: &Work,
    uid: Option<&str>,
) -> Next {
    let (attempts, objects) =
        (&performance.parts.memory.attempts, &performance.parts.cluster.objects);
    // The attempt is remembered before the write, so that the outcome can be noted.
    attempts.look(key, |_| ());
    let done = match (work, uid) {
        (Work::Apply(action), _) => {
            let target = ObjectTarget::applied(account(saga), action);
            objects.apply(target, action, &mark(saga, key), WriteMode::Commit).await
        }
        (Work::Delete(object), Some(uid)) => {
            let target = ObjectTarget::of(account(saga), object);
            objects.delete(target, uid).await.map(|()| uid.to_owned())
        }
        (
            Work::Delete(_)
            | Work::Until(_)
            | Work::Pod(_)
            | Work::Job(_)
            | Work::Http(_)
            | Work::Saga(_)
            | Work::UndoSaga
            | Work::Approval(_)
            | Work::Wait(_),
            _,
        ) => return Next::Later,
    };
    match done {
        Ok(uid) => attempts.child_seen(key, &uid),
        Err(refused) => {
            if let Noted::Lost(message) = note(attempts, key, refused) {
                tracing::warn!(
                    message,
                    "it is unknown whether the object was written: the object is read again"
                );
                // The object is read at once, and written again only after a wait.
                attempts.refused(key, message);
            }
        }
    }
    Next::AtOnce
}
