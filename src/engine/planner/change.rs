//! Changes the statuses of steps that are given by name.

use super::state::Planner;
use crate::{api::StepStatus, model::saga::ValidStep};

pub(in crate::engine) fn change_steps(
    planner: &mut Planner<'_>,
    names: &[String],
    change: impl Fn(&mut Planner<'_>, &ValidStep, &mut StepStatus),
) {
    for place in planner.places() {
        let Some(mut draft) = planner.draft(place, |step, _| names.contains(&step.name)) else {
            continue;
        };
        change(planner, draft.step, &mut draft.status);
        planner.store(draft);
    }
}
