//! Changes the statuses of steps that are given by name.

use super::state::Planner;
use crate::{api::StepStatus, model::saga::ValidStep};

pub(in crate::engine) fn change_steps(
    planner: &mut Planner<'_>,
    names: &[String],
    change: impl Fn(&mut Planner<'_>, &ValidStep, &mut StepStatus),
) {
    planner.each_step(|planner, _, step, status| {
        if names.contains(&status.name) {
            change(planner, step, status);
        }
    });
}
