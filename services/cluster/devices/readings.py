"""What is asked of devices and assignments; what is asked in passing also buries lost hosts."""

from __future__ import annotations

from services.cluster.devices.index import PRELUDE

# Where an assignment could be. ARGV: holder, job_id or "", token, kinds as JSON, k, bytes of each
# or 0, host or "", how many of the best to pass over. Answers {'lost'}, {'held', record}, {'none'},
# or {'host', what is known of it}.
LOOK = (
    PRELUDE
    + """
local holder, job, token, k, bytes = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[5]), ARGV[6]
if job ~= '' and lost(job, token) then return {'lost'} end
bury()
local record, host, text = held_by(holder)
if record then
  if token_of(record) == token then return {'held', text} end
  if job == '' then return {'lost'} end
  quarantine(host, record)
end
if ARGV[7] ~= '' then
  if not live(ARGV[7]) then return {'none'} end
  return {'host', show(ARGV[7])}
end
for _, kind in ipairs(cjson.decode(ARGV[4])) do
  local index, least = key(INDEX, kind .. '/' .. k), bytes
  if bytes == '0' then index, least = key(INDEX, kind .. '/whole'), k end
  local count = redis.call('ZCOUNT', index, least, '+inf')
  if count > 0 then
    local offset = tonumber(ARGV[8]) % count
    local found = redis.call('ZRANGEBYSCORE', index, least, '+inf', 'LIMIT', offset, 1)[1]
    if bytes ~= '0' and k == 1 then found = string.match(found, '\\n(.*)$') end
    return {'host', show(found)}
  end
end
return {'none'}
"""
)

# ARGV: host, or "" for all. Answers the newest version and what is known of each.
SHOW = (
    PRELUDE
    + """
bury()
local hosts = {ARGV[1]}
if ARGV[1] == '' then
  hosts = redis.call('ZRANGE', BEATS, 0, -1)
  for _, host in ipairs(redis.call('ZRANGE', GONE, 0, -1)) do hosts[#hosts + 1] = host end
end
local shown = {}
for _, host in ipairs(hosts) do shown[#shown + 1] = show(host) end
return {redis.call('GET', VERSION) or '0', shown}
"""
)

# ARGV: holders. Answers the assignments of those that have one.
HELD_BY = (
    PRELUDE
    + """
local found = {}
for _, holder in ipairs(ARGV) do
  local _, _, text = held_by(holder)
  if text then found[#found + 1] = text end
end
return found
"""
)

# Whether any host has devices of a kind, those among them that were not heard of. ARGV: kind.
HAS_KIND = (
    PRELUDE
    + """
if redis.call('EXISTS', key(INDEX, ARGV[1] .. '/1')) == 1 then return 1 end
for _, host in ipairs(redis.call('ZRANGE', GONE, 0, -1)) do
  for _, device in ipairs(devices_of(host)) do
    if device.kind == ARGV[1] then return 1 end
  end
end
return 0
"""
)

# The hosts with the freest devices, for a refusal that names them. ARGV: kinds as JSON, host or "",
# how many. Answers what is known of each and how many hosts more there are.
NEAREST = (
    PRELUDE
    + """
bury()
if ARGV[2] ~= '' then return {{show(ARGV[2])}, 0} end
local shown, seen, num_hosts, limit = {}, {}, 0, tonumber(ARGV[3])
for _, kind in ipairs(cjson.decode(ARGV[1])) do
  num_hosts = num_hosts + redis.call('ZCARD', key(INDEX, kind .. '/whole'))
  local index = key(INDEX, kind .. '/1')
  for _, member in ipairs(redis.call('ZREVRANGE', index, 0, limit * 16 - 1)) do
    local host = string.match(member, '\\n(.*)$')
    if not seen[host] and #shown < limit then
      seen[host] = true
      shown[#shown + 1] = show(host)
    end
  end
end
for _, host in ipairs(redis.call('ZREVRANGE', GONE, 0, -1)) do
  if #shown < limit and not seen[host] then shown[#shown + 1] = show(host) end
end
return {shown, math.max(num_hosts - #shown, 0)}
"""
)
