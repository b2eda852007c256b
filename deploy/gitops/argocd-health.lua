-- Health of a ClusterRedistribution in Argo CD. It needs Lua's base functions only, for Argo CD offers little more. Healthy
-- means: delivered, for the generation that is there now. It never says more than kstatus does.
local metadata = type(obj.metadata) == "table" and obj.metadata or {}
local status = type(obj.status) == "table" and obj.status or {}
local conditions = type(status.conditions) == "table" and status.conditions or {}
local generation = tonumber(metadata.generation)

local function health(verdict, message)
  return { status = verdict, message = message }
end

local function told(condition)
  local reason = type(condition.reason) == "string" and condition.reason or "no reason"
  if type(condition.message) ~= "string" or condition.message == "" then
    return reason
  end
  return reason .. ": " .. condition.message
end

local function speaks_of_now(condition)
  return condition.observedGeneration == nil or tonumber(condition.observedGeneration) == generation
end

if metadata.deletionTimestamp ~= nil then
  return health("Progressing", "Being deleted; deleting sends nothing and stops nothing")
end

-- The CRD gives a new object observedGeneration -1: until the controller has seen this generation, nothing is known of it.
if generation == nil or tonumber(status.observedGeneration) ~= generation then
  return health("Progressing", "The controller has not seen this generation yet")
end

-- In the order in which they stand, as kstatus reads them.
for _, condition in ipairs(conditions) do
  if type(condition) == "table" and condition.status == "True" then
    local decides = condition.type == "Reconciling" or condition.type == "Stalled"
    if decides and not speaks_of_now(condition) then
      return health("Progressing", "Condition " .. condition.type .. " speaks of another generation")
    elseif condition.type == "Stalled" then
      return health("Degraded", told(condition))
    elseif condition.type == "Reconciling" and condition.reason == "Suspended" then
      return health("Suspended", told(condition))
    elseif condition.type == "Reconciling" then
      return health("Progressing", told(condition))
    end
  end
end

-- If there are several, all must be True.
local ready = nil
for _, condition in ipairs(conditions) do
  if type(condition) == "table" and condition.type == "Ready" then
    if not speaks_of_now(condition) then
      return health("Progressing", "Condition Ready speaks of another generation")
    elseif condition.status ~= "True" then
      return health("Progressing", told(condition))
    end
    ready = condition
  end
end
if ready == nil then
  return health("Progressing", "There is no condition Ready for this generation yet")
end
return health("Healthy", told(ready))
