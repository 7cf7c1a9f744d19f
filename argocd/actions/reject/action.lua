-- Rejects steps that wait for approval: the named steps, separated by commas, or the only step that waits.
local step = (actionParams or {}).step
if step == nil or step == "" then
  local asks, waiting = {}, {}
  for _, known in ipairs(obj.spec.steps) do
    asks[known.name] = known.approval ~= nil
  end
  for _, known in ipairs((obj.status or {}).steps or {}) do
    if known.phase == "Waiting" and asks[known.name] then
      table.insert(waiting, known.name)
    end
  end
  if #waiting ~= 1 then
    error("name the step to reject: " .. #waiting .. " steps wait for an approval", 0)
  end
  step = waiting[1]
end
-- A token makes each click a new request, whatever the manifest in Git holds.
local token = require("os").date("!%Y%m%dT%H%M%SZ") .. "." .. obj.metadata.resourceVersion
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["saga.dev/reject"] = step .. "@" .. token
return obj
