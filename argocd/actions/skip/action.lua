-- Continues without a step, or does not undo it: the named step, with outputs if needed (ship={"tracking":"T-1"}), or the only failed step.
local step = (actionParams or {}).step
if step == nil or step == "" then
  local by_phase = { Failed = {}, CompensationFailed = {} }
  for _, known in ipairs((obj.status or {}).steps or {}) do
    if by_phase[known.phase] ~= nil then
      table.insert(by_phase[known.phase], known.name)
    end
  end
  -- Once a compensation has failed, no other step can be skipped.
  local failed = by_phase.CompensationFailed
  if #failed == 0 then
    failed = by_phase.Failed
  end
  if #failed ~= 1 then
    error("name the step to skip: " .. #failed .. " steps failed", 0)
  end
  step = failed[1]
end
-- A token makes each click a new request, whatever the manifest in Git holds.
local token = require("os").date("!%Y%m%dT%H%M%SZ") .. "." .. obj.metadata.resourceVersion
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["saga.dev/skip"] = step .. "@" .. token
return obj
