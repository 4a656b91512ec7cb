"""The transitions of devices and assignments, one script each.

Time is Redis TIME. A script that is sent again, because its answer was late, answers as it did the
first time.
"""

from __future__ import annotations

from services.cluster.devices.index import PRELUDE

# ARGV: host, devices, their shape (what the index is made of), seconds until they expire.
PUBLISH = (
    PRELUDE
    + """
local host, devices, shape, seconds = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local known = redis.call('HGET', key(HOST, host), 'shape')
local back = not live(host)
if devices == '[]' then
  unindex(host)
  redis.call('ZREM', BEATS, host)
  if redis.call('EXISTS', key(HELD, host)) == 1 then
    redis.call('HSET', key(HOST, host), 'devices', devices, 'shape', shape)
    redis.call('ZADD', GONE, 'NX', now, host)
    changed(host)
  else
    redis.call('DEL', key(HOST, host))
    redis.call('ZREM', GONE, host)
  end
  return 1
end
if known and known ~= shape then unindex(host) end
redis.call('HSET', key(HOST, host), 'devices', devices, 'shape', shape)
redis.call('ZADD', BEATS, now + seconds, host)
redis.call('ZREM', GONE, host)
if back or known ~= shape then
  changed(host)
  reindex(host)
end
return 1
"""
)

# Writes an assignment if the host is as it was read. ARGV: holder, host, version, record, job_id or
# "", token. Answers {'lost'}, {'held', record}, or {'moved'}: look again.
ASSIGN = (
    PRELUDE
    + """
local holder, host, job, token = ARGV[1], ARGV[2], ARGV[5], ARGV[6]
if job ~= '' and lost(job, token) then return {'lost'} end
local held, _, text = held_by(holder)
if held then
  if token_of(held) == token then return {'held', text} end
  return {'moved'}
end
if not live(host) or redis.call('HGET', key(HOST, host), 'version') ~= ARGV[3] then
  return {'moved'}
end
local record = cjson.decode(ARGV[4])
record.assigned_at = now
text = put(host, record)
redis.call('HSET', HOLDERS, holder, record.assignment_id .. '\\n' .. host)
changed(host)
reindex(host)
return {'held', text}
"""
)

# ARGV: holder, job_id or "", token, the release's own name. Answers -1 when it may not, 0 when the
# holder has none, else 1. One that belongs to a job which has ended is left to the host's agent
# unless the job itself says that its processes are gone.
RELEASE = (
    PRELUDE
    + """
local holder, job, token, name = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('EXISTS', key(RELEASE, name)) == 1 then return 1 end
if job ~= '' and lost(job, token) then return -1 end
local record, host = held_by(holder)
drop_room(holder)
if not record then return 0 end
if job == '' and (record.job_id or '') ~= '' then
  if not lost(record.job_id, token_of(record)) then return -1 end
  quarantine(host, record)
elseif job ~= '' and token_of(record) ~= token then
  quarantine(host, record)
  return 0
else
  redis.call('HDEL', key(HELD, host), record.assignment_id)
  redis.call('HDEL', HOLDERS, holder)
  changed(host)
  reindex(host)
end
redis.call('SET', key(RELEASE, name), '1', 'EX', 60)
return 1
"""
)

# ARGV: host, an assignment_id or "" for those of all jobs that lost their lease. Answers every
# assignment of the host that is in quarantine then.
QUARANTINE = (
    PRELUDE
    + """
local host, found = ARGV[1], {}
for _, text in ipairs(redis.call('HVALS', key(HELD, host))) do
  local record = cjson.decode(text)
  if (record.quarantined_at or 0) > 0 then
    found[#found + 1] = text
  elseif record.assignment_id == ARGV[2]
      or (ARGV[2] == '' and (record.job_id or '') ~= '' and lost(record.job_id, token_of(record)))
  then
    found[#found + 1] = quarantine(host, record)
  end
end
return found
"""
)

# Ends a quarantine. ARGV: host, assignment_id.
LIFT = (
    PRELUDE
    + """
local text = redis.call('HGET', key(HELD, ARGV[1]), ARGV[2])
if text and (cjson.decode(text).quarantined_at or 0) > 0 then
  redis.call('HDEL', key(HELD, ARGV[1]), ARGV[2])
  changed(ARGV[1])
  reindex(ARGV[1])
end
return 1
"""
)

# Hosts that do not return. ARGV: seconds until what they held may be placed elsewhere, seconds
# until they are forgotten. Answers 1.
SWEEP = (
    PRELUDE
    + """
bury()
for _, host in ipairs(redis.call('ZRANGEBYSCORE', GONE, '-inf', now - tonumber(ARGV[1]))) do
  local gone_at = tonumber(redis.call('ZSCORE', GONE, host))
  local texts = redis.call('HVALS', key(HELD, host))
  for _, text in ipairs(texts) do
    local record = cjson.decode(text)
    local orphan = (record.job_id or '') == '' or lost(record.job_id, token_of(record))
    if (record.quarantined_at or 0) == 0 and orphan then quarantine(host, record) end
  end
  if #texts == 0 or gone_at < now - tonumber(ARGV[2]) then
    for _, text in ipairs(texts) do
      local holder = cjson.decode(text).holder
      local _, place = held_by(holder)
      if place == host then redis.call('HDEL', HOLDERS, holder) end
    end
    redis.call('DEL', key(HOST, host), key(HELD, host))
    redis.call('ZREM', GONE, host)
  end
end
return 1
"""
)
