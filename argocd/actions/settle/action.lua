-- Settles an attempt whose outcome the operator cannot find out: charge-card=Failed if nothing was done and nothing will be, or
-- charge-card=Succeeded, with the outputs that the step would have had, if any (charge-card=Succeeded={"charge":"C-1"}).
local word = (actionParams or {}).step
if word == nil or word == "" then
  error("name the step and what became of it: STEP=Failed or STEP=Succeeded", 0)
end
-- A token makes each click a new request, whatever the manifest in Git holds.
local token = require("os").date("!%Y%m%dT%H%M%SZ") .. "." .. obj.metadata.resourceVersion
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["saga.dev/settle"] = word .. "@" .. token
return obj
