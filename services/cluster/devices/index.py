"""What every script of the devices begins with, and the index that finds a host.

What is known of a host is under keys of its own with a version of its own, so two that are placed
on two hosts never meet. The index of a kind has these sorted sets, of live hosts only:

    KIND/whole   host by its number of wholly free devices
    KIND/1       device and host by the device's free bytes
    KIND/k       host by the free bytes of its k-th freest device, k from 2 to 16

The lowest score that is enough is the best fit, found in O(log N); every script that changes
a host writes its scores again.
"""

from __future__ import annotations

from services.cluster.devices.records import MAX_DEVICES, QUARANTINE_PREFIX
from services.cluster.store.keys import Keys

PRELUDE = f"""
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local stamp = string.format('%.6f', now)
-- By a function: in a replacement that is a string, "%" means a capture.
local function key(pattern, id)
  return (string.gsub(pattern, '{{}}', function() return id end))
end
local HOST, HELD = '{Keys.HOST_DEVICES}', '{Keys.HOST_ASSIGNMENTS}'
local BEATS, GONE, HOLDERS = '{Keys.HOST_BEATS}', '{Keys.HOSTS_GONE}', '{Keys.DEVICE_HOLDERS}'
local INDEX, VERSION, JOB = '{Keys.DEVICE_INDEX}', '{Keys.DEVICES_VERSION}', '{Keys.JOB}'
local RELEASE = '{Keys.DEVICE_RELEASE}'
local ROOMS, ROOM_BEATS = '{Keys.ROOM_REQUESTS}', '{Keys.ROOM_BEATS}'
local function lost(job_id, token)
  local job = redis.call('HMGET', key(JOB, job_id), 'status', 'token')
  return job[1] ~= 'running' or job[2] ~= token
end
local function token_of(record) return string.format('%.0f', record.token or 0) end
local function devices_of(host)
  return cjson.decode(redis.call('HGET', key(HOST, host), 'devices') or '[]')
end
local function live(host)
  local expires_at = redis.call('ZSCORE', BEATS, host)
  return expires_at and tonumber(expires_at) > now
end
local function changed(host)
  redis.call('HSET', key(HOST, host), 'version', redis.call('INCR', VERSION))
end
local function unindex(host)
  local counts = {{}}
  for _, device in ipairs(devices_of(host)) do
    redis.call('ZREM', key(INDEX, device.kind .. '/1'), device.device_id .. '\\n' .. host)
    counts[device.kind] = (counts[device.kind] or 0) + 1
  end
  for kind, count in pairs(counts) do
    redis.call('ZREM', key(INDEX, kind .. '/whole'), host)
    for k = 2, math.min(count, {MAX_DEVICES}) do
      redis.call('ZREM', key(INDEX, kind .. '/' .. k), host)
    end
  end
end
local function reindex(host)
  if not live(host) then return end
  local taken, num_holders, kinds = {{}}, {{}}, {{}}
  for _, text in ipairs(redis.call('HVALS', key(HELD, host))) do
    local record = cjson.decode(text)
    local bytes = record.device_bytes == 0 and math.huge or record.device_bytes
    for _, id in ipairs(record.device_ids) do
      taken[id] = (taken[id] or 0) + bytes
      num_holders[id] = (num_holders[id] or 0) + 1
    end
  end
  for _, device in ipairs(devices_of(host)) do
    local kind = kinds[device.kind] or {{free = {{}}, whole = 0}}
    kinds[device.kind] = kind
    local free = 0
    if device.healthy then
      free = math.max(device.total_bytes - (taken[device.device_id] or 0), 0)
      if not num_holders[device.device_id] then kind.whole = kind.whole + 1 end
    end
    kind.free[#kind.free + 1] = free
    redis.call('ZADD', key(INDEX, device.kind .. '/1'), string.format('%.0f', free),
      device.device_id .. '\\n' .. host)
  end
  for name, kind in pairs(kinds) do
    table.sort(kind.free, function(a, b) return a > b end)
    redis.call('ZADD', key(INDEX, name .. '/whole'), kind.whole, host)
    for k = 2, math.min(#kind.free, {MAX_DEVICES}) do
      redis.call('ZADD', key(INDEX, name .. '/' .. k), string.format('%.0f', kind.free[k]), host)
    end
  end
end
-- Hosts that were not heard of in time: nothing is assigned of them until they are.
local function bury()
  for _, host in ipairs(redis.call('ZRANGEBYSCORE', BEATS, '-inf', now, 'LIMIT', 0, 100)) do
    redis.call('ZADD', GONE, now, host)
    redis.call('ZREM', BEATS, host)
    unindex(host)
    changed(host)
  end
end
local function held_by(holder)
  local place = redis.call('HGET', HOLDERS, holder)
  if not place then return nil end
  local id, host = string.match(place, '^([^\\n]*)\\n(.*)$')
  local text = redis.call('HGET', key(HELD, host), id)
  return text and cjson.decode(text), host, text
end
local function put(host, record)
  if record.strangers and #record.strangers == 0 then record.strangers = nil end
  local text = cjson.encode(record)
  redis.call('HSET', key(HELD, host), record.assignment_id, text)
  return text
end
local function quarantine(host, record)
  redis.call('HDEL', HOLDERS, record.holder)
  record.holder = '{QUARANTINE_PREFIX}' .. record.holder
  record.quarantined_at = now
  return put(host, record)
end
local function drop_room(asker)
  redis.call('HDEL', ROOMS, asker)
  redis.call('ZREM', ROOM_BEATS, asker)
end
local function show(host)
  local known = redis.call('HMGET', key(HOST, host), 'version', 'devices')
  return {{host, live(host) and 1 or 0, known[1] or '0', known[2] or '[]',
    redis.call('HVALS', key(HELD, host))}}
end
"""
