//! Changes the statuses of steps that are given by name.

use super::state::Pass;
use crate::{api::StepStatus, model::saga::ValidStep};

pub(crate) fn change_steps(
    pass: &mut Pass<'_>,
    names: &[String],
    change: impl Fn(&mut Pass<'_>, &ValidStep, &mut StepStatus),
) {
    pass.each_step(|pass, _, step, status| {
        if names.contains(&status.name) {
            change(pass, step, status);
        }
    });
}
