-- Ends a pause.
local reason = (actionParams or {}).reason
if reason == nil or reason == "" then
  reason = "asked for in Argo CD"
end
-- A token makes each click a new request, whatever the manifest in Git holds.
local token = require("os").date("!%Y%m%dT%H%M%SZ") .. "." .. obj.metadata.resourceVersion
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["saga.dev/resume"] = "@" .. token .. ": " .. reason
return obj
