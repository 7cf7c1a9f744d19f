-- Tries steps again, now and with a fresh budget: those that are named, separated by commas, or all to which a retry applies.
local step = (actionParams or {}).step
if step == nil or step == "" then
  step = "*"
end
-- A token makes each click a request of its own, whatever stands in Git.
local token = require("os").date("!%Y%m%dT%H%M%SZ") .. "." .. obj.metadata.resourceVersion
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["saga.dev/retry"] = step .. "@" .. token
return obj
