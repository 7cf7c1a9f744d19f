-- Retries steps now, with a fresh budget: the named steps, separated by commas, or all steps that can be retried.
local step = (actionParams or {}).step
if step == nil or step == "" then
  step = "*"
end
-- A token makes each click a new request, whatever the manifest in Git holds.
local token = require("os").date("!%Y%m%dT%H%M%SZ") .. "." .. obj.metadata.resourceVersion
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["saga.dev/retry"] = step .. "@" .. token
return obj
