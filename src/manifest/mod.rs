//! Readers for the parts of a spec that are written as in Kubernetes. They are strict.

pub mod job_spec;
pub mod pod_template;
pub mod resources;
pub(in crate::manifest) mod strict;
