-- The health of a Saga for Argo CD, by the conditions that the operator writes.
--
-- Healthy: completed. Progressing: continues without a user, forward or backward. Suspended: waits for the answer of a user, or is paused.
-- Degraded: failed, undone, cancelled, or held until a user corrects it.
local status = obj.status or {}
-- The definition gives a saga that no operator has read the observed generation -1.
if status.observedGeneration == nil or status.observedGeneration < 0 then
  return { status = "Progressing", message = "waits for the operator to see it" }
end
-- A deletion also moves the generation, and the operator does not write the new generation into an ended saga. If a finalizer keeps the saga,
-- as that of Argo CD keeps a hook, the result is to be read.
if obj.metadata.deletionTimestamp == nil and status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "waits for the operator to see the changed spec" }
end
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local ready, stalled = conditions.Ready, conditions.Stalled
if stalled ~= nil and stalled.status == "True" then
  return { status = "Degraded", message = stalled.reason .. ": " .. stalled.message }
end
if ready == nil then
  return { status = "Progressing", message = "waits for the operator" }
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
if ready.reason == "AwaitingApproval" or ready.reason == "Paused" then
  return { status = "Suspended", message = ready.message }
end
return { status = "Progressing", message = ready.message }
