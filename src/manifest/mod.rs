//! Kubernetes fragments inside a spec, read strictly.

pub mod job_spec;
pub mod pod_template;
pub mod resources;
pub(crate) mod strict;
