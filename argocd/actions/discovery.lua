-- The requests that a saga accepts now. The operator decides about each request; a request that it would certainly refuse is not offered.
local status = obj.status or {}
local phase = status.phase
local steps = status.steps or {}
local deleted = obj.metadata.deletionTimestamp ~= nil
local undoing = status.compensationRequested ~= nil or deleted or phase == "Compensating" or phase == "CompensationFailed"

local stalled = nil
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Stalled" and condition.status == "True" then
    stalled = condition.reason
  end
end
-- Held until a user corrects the spec or the status.
local held = stalled == "InvalidSpec" or stalled == "UnknownField" or stalled == "SpecChanged" or stalled == "InvalidStatus"
local refused = stalled == "Refused" or stalled == "DefinitionTooOld"

local function among(phases)
  for _, one in ipairs(phases) do
    if one == phase then
      return true
    end
  end
  return false
end
local unfinished = among({ "Pending", "Running", "Paused", "Failed", "Compensating", "CompensationFailed" })
local forward = among({ "Running", "Paused", "Failed" })

local asks, pivots = {}, {}
for _, step in ipairs(obj.spec.steps) do
  asks[step.name] = step.approval ~= nil
  pivots[step.name] = step.pivot == true
end
-- No retry request is left: only a saga that was refused is checked again without one.
local used_up = (status.retryRequests or 0) >= (obj.spec.maxRetryRequests or 10)
local retried, skipped, settled, waiting, passed = false, false, false, false, false
for _, step in ipairs(steps) do
  local of, uncertain = step.phase, (step.action or {}).uncertain == true
  if undoing then
    retried = retried or of == "CompensationFailed" or (of == "Compensating" and (step.compensation or {}).active == nil)
    skipped = skipped or of == "CompensationFailed"
  else
    retried = retried or of == "Failed" or of == "Retrying"
    skipped = skipped or of == "Failed" or of == "Pending" or of == "Retrying" or of == "Waiting"
    waiting = waiting or (of == "Waiting" and asks[step.name])
  end
  -- The outcome of an attempt is unknown, and no attempt is active.
  local way = step.action
  if of == "Compensating" or of == "CompensationFailed" then
    way = step.compensation
  end
  local stands = of == "Failed" or of == "Retrying" or of == "Compensating" or of == "CompensationFailed"
  settled = settled or (stands and (way or {}).uncertain == true and way.active == nil)
  -- A pivot that is skipped by request counts as passed; a pivot whose `when` is false does not.
  local done = of == "Completed" or (of == "Skipped" and step.unwanted ~= true)
  passed = passed or (pivots[step.name] and (done or uncertain))
end

local takes = {
  retry = unfinished and (refused or ((retried or stalled == "TimedOut") and not used_up)),
  skip = unfinished and skipped and not refused,
  settle = unfinished and settled and phase ~= "Pending",
  compensate = (forward or phase == "Completed") and not undoing and not passed,
  approve = forward and waiting,
  reject = forward and waiting,
  pause = unfinished and not refused and not deleted and status.paused == nil,
  resume = unfinished and status.paused ~= nil and obj.spec.suspend ~= true,
  cancel = unfinished,
}
local shown = {
  retry = { "Retry", "fa-redo", "step" },
  skip = { "Skip a step", "fa-forward", "step" },
  settle = { "Settle: say what became of an attempt", "fa-gavel", "step" },
  compensate = { "Compensate: undo what was done", "fa-undo", "reason" },
  approve = { "Approve", "fa-check", "step" },
  reject = { "Reject", "fa-times", "step" },
  pause = { "Pause", "fa-pause-circle", "reason" },
  resume = { "Resume", "fa-play-circle", "reason" },
  cancel = { "Cancel: stop, undo nothing", "fa-ban", "reason" },
}
local actions = {}
for name, look in pairs(shown) do
  actions[name] = {
    disabled = held or status.cancelRequested ~= nil or not takes[name],
    displayName = look[1],
    iconClass = "fa fa-fw " .. look[2],
    params = { { name = look[3] } },
  }
end
return actions
