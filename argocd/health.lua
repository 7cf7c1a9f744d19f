-- The health of a Saga for Argo CD, by the conditions that the operator writes.
--
-- Healthy: completed. Progressing: goes on by itself, forward or backward. Suspended: waits for a person, who was asked or who paused it.
-- Degraded: failed, undone, cancelled, or held until somebody mends it.
local status = obj.status or {}
-- The definition gives a saga that no operator has seen a generation of -1.
if status.observedGeneration == nil or status.observedGeneration < 0 then
  return { status = "Progressing", message = "waits for the operator to see it" }
end
-- A deletion moves the generation, too, and nobody writes that into an ended saga: whoever keeps it, as Argo CD keeps a hook, wants to read
-- its end.
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
