-- Health of a ClusterRedistribution in Argo CD. It uses Lua's base functions only, since Argo CD offers little more. Healthy
-- means: delivered, for the current generation. It never claims more than kstatus does.
local metadata = type(obj.metadata) == "table" and obj.metadata or {}
local status = type(obj.status) == "table" and obj.status or {}
local conditions = type(status.conditions) == "table" and status.conditions or {}
local generation = tonumber(metadata.generation)

local function health(verdict, message)
  return { status = verdict, message = message }
end

local function describe(condition)
  local reason = type(condition.reason) == "string" and condition.reason or "no reason"
  if type(condition.message) ~= "string" or condition.message == "" then
    return reason
  end
  return reason .. ": " .. condition.message
end

local function is_current(condition)
  return condition.observedGeneration == nil or tonumber(condition.observedGeneration) == generation
end

if metadata.deletionTimestamp ~= nil then
  return health("Progressing", "Being deleted; deleting sends nothing and stops nothing")
end

-- The CRD gives a new object observedGeneration -1: until the controller has seen this generation, its state is unknown.
if generation == nil or tonumber(status.observedGeneration) ~= generation then
  return health("Progressing", "The controller has not seen this generation yet")
end

-- In the order of the list, as kstatus reads them.
for _, condition in ipairs(conditions) do
  if type(condition) == "table" and condition.status == "True" then
    local decides = condition.type == "Reconciling" or condition.type == "Stalled"
    if decides and not is_current(condition) then
      return health("Progressing", "Condition " .. condition.type .. " describes another generation")
    elseif condition.type == "Stalled" then
      return health("Degraded", describe(condition))
    elseif condition.type == "Reconciling" and condition.reason == "Suspended" then
      return health("Suspended", describe(condition))
    elseif condition.type == "Reconciling" then
      return health("Progressing", describe(condition))
    end
  end
end

-- If there are several, all must be True.
local ready = nil
for _, condition in ipairs(conditions) do
  if type(condition) == "table" and condition.type == "Ready" then
    if not is_current(condition) then
      return health("Progressing", "Condition Ready describes another generation")
    elseif condition.status ~= "True" then
      return health("Progressing", describe(condition))
    end
    ready = condition
  end
end
if ready == nil then
  return health("Progressing", "There is no condition Ready for this generation yet")
end
return health("Healthy", describe(ready))
