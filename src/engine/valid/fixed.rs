//! Which leaves decide what runs, and as whom and where: another side's answer may not reach them.

use super::pod::without_place;

/// Fields of an object that decide so.
pub(super) const OF_OBJECTS: [&str; 7] = ["image", "kind", "apiVersion", "serviceAccountName", "serviceAccount", "namespace", "namespaces"];
/// Parts of the paths in a pod's spec below which stands what decides so.
pub(super) const OF_PODS: [&str; 5] = ["image", "serviceAccountName", "serviceAccount", "namespace", "namespaces"];

/// Whether only `params` and `saga` may reach the leaf at a path within the operation, such as `.pod.template.spec.serviceAccountName`.
pub(super) fn is_fixed(leaf: &str) -> bool {
    let decides = |leaf: &str| leaf.split('.').any(|part| OF_PODS.contains(&without_place(part)));
    if let Some(leaf) = leaf.strip_prefix(".pod.") {
        return leaf == "image" || leaf.strip_prefix("template.spec.").is_some_and(decides);
    }
    if let Some(leaf) = leaf.strip_prefix(".job.spec.") {
        return leaf.strip_prefix("template.spec.").is_some_and(decides);
    }
    // A request may name whatever it likes in its body, and so may the params of a child: there it is told what may read them.
    !leaf.starts_with(".http.")
        && !leaf.starts_with(".saga.")
        && leaf.rsplit('.').next().is_some_and(|name| OF_OBJECTS.contains(&without_place(name)))
}
