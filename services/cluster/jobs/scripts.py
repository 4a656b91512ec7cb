"""The transitions of a job, one script each: no reader sees half of one.

Every script takes Redis TIME, and one that a holder calls checks its fencing token first. Keys are
built from ids inside the scripts, so Hearth needs one Redis, not a Redis Cluster (docs/adr/0002).
"""

from __future__ import annotations

from services.cluster.store.keys import Keys

_PRELUDE = f"""
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local stamp = string.format('%.6f', now)
-- By a function: in a replacement that is a string, "%" means a capture.
local function key(pattern, id)
  return (string.gsub(pattern, '{{}}', function() return id end))
end
local JOB, QUEUE, DELAYED = '{Keys.JOB}', '{Keys.JOB_QUEUE}', '{Keys.JOB_DELAYED}'
local RUNNING, HISTORY, EVENTS = '{Keys.JOB_RUNNING}', '{Keys.JOB_HISTORY}', '{Keys.JOB_EVENTS}'
local WAKE, NUMBER, TOKENS = '{Keys.JOB_WAKE}', '{Keys.JOB_NUMBER}', '{Keys.LEASE_TOKENS}'
local IDEMPOTENCY = '{Keys.JOB_IDEMPOTENCY}'
local function event(id, name, data)
  redis.call('XADD', key(EVENTS, id), 'MAXLEN', '~', 2000, '*', 'event', name, 'data', data or '')
end
local function queue(id, kind)
  local job = redis.call('HMGET', key(JOB, id), 'priority', 'number')
  redis.call('ZADD', key(QUEUE, kind), tonumber(job[1]) * 1e12 + tonumber(job[2]), id)
  redis.call('XADD', key(WAKE, kind), 'MAXLEN', '~', 100, '*', 'job_id', id)
end
local function finish(id, kind, status, field, value)
  redis.call('HSET', key(JOB, id), 'status', status, 'finished_at', stamp, field, value)
  redis.call('ZREM', key(QUEUE, kind), id)
  redis.call('ZREM', key(DELAYED, kind), id)
  redis.call('ZREM', key(RUNNING, kind), id)
  event(id, status, value)
end
local function lost(id, token)
  local job = redis.call('HMGET', key(JOB, id), 'status', 'token')
  return job[1] ~= 'running' or job[2] ~= token
end
"""

# ARGV: job_id, kind, idempotency key, seconds until due, then field, value, ... of the record.
# Answers the id of the job that has this idempotency key.
ENQUEUE = (
    _PRELUDE
    + """
local id, kind, idempotency = ARGV[1], ARGV[2], ARGV[3]
if idempotency ~= '' then
  local known = redis.call('HGET', IDEMPOTENCY, idempotency)
  if known then return known end
  redis.call('HSET', IDEMPOTENCY, idempotency, id)
end
-- The client sends a script again when its answer is late: the job may have been claimed since.
if redis.call('EXISTS', key(JOB, id)) == 1 then return id end
local number = redis.call('INCR', NUMBER)
redis.call('HSET', key(JOB, id), 'status', 'queued', 'created_at', stamp, 'number', number,
  'attempt', 0, unpack(ARGV, 5))
redis.call('ZADD', key(HISTORY, kind), number, id)
if tonumber(ARGV[4]) > 0 then redis.call('ZADD', key(DELAYED, kind), now + ARGV[4], id)
else queue(id, kind) end
event(id, 'queued')
return id
"""
)

# ARGV: kind, holder, lease seconds, how many may run at once (0: any number). Answers the job_id.
CLAIM = (
    _PRELUDE
    + """
local kind, holder, ttl, limit = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', key(DELAYED, kind), '-inf', now)) do
  redis.call('ZREM', key(DELAYED, kind), id)
  queue(id, kind)
end
if limit > 0 and redis.call('ZCARD', key(RUNNING, kind)) >= limit then return false end
local first = redis.call('ZRANGE', key(QUEUE, kind), 0, 0)[1]
if not first then return false end
redis.call('ZREM', key(QUEUE, kind), first)
local token = redis.call('INCR', TOKENS)
redis.call('HINCRBY', key(JOB, first), 'attempt', 1)
redis.call('HSET', key(JOB, first), 'status', 'running', 'holder', holder, 'token', token,
  'started_at', stamp, 'heartbeat_at', stamp)
redis.call('ZADD', key(RUNNING, kind), now + ttl, first)
event(first, 'running', holder)
return first
"""
)

# ARGV: job_id, kind, token, lease seconds, progress or "", resume point or "".
# Answers 0 when lost, 1, or 2 when the job should stop because it was cancelled.
HEARTBEAT = (
    _PRELUDE
    + """
local id, kind = ARGV[1], ARGV[2]
if lost(id, ARGV[3]) then return 0 end
redis.call('HSET', key(JOB, id), 'heartbeat_at', stamp)
redis.call('ZADD', key(RUNNING, kind), now + ARGV[4], id)
if ARGV[5] ~= '' then
  redis.call('HSET', key(JOB, id), 'progress', ARGV[5])
  event(id, 'progress', ARGV[5])
end
if ARGV[6] ~= '' then redis.call('HSET', key(JOB, id), 'resume', ARGV[6]) end
if redis.call('HGET', key(JOB, id), 'cancel_requested') == '1' then return 2 end
return 1
"""
)

# ARGV: job_id, kind, token, status, result or error.
FINISH = (
    _PRELUDE
    + """
if lost(ARGV[1], ARGV[3]) then return 0 end
finish(ARGV[1], ARGV[2], ARGV[4], ARGV[4] == 'failed' and 'error' or 'result', ARGV[5])
return 1
"""
)

# The holder gives the job back to be tried again. ARGV: job_id, kind, token, seconds to wait, why.
RETRY = (
    _PRELUDE
    + """
local id, kind = ARGV[1], ARGV[2]
if lost(id, ARGV[3]) then return 0 end
redis.call('ZREM', key(RUNNING, kind), id)
redis.call('HSET', key(JOB, id), 'status', 'queued', 'error', ARGV[5])
redis.call('ZADD', key(DELAYED, kind), now + ARGV[4], id)
event(id, 'queued', ARGV[5])
return 1
"""
)

# ARGV: job_id, kind. Answers 0 when it has ended already.
CANCEL = (
    _PRELUDE
    + """
local id, kind = ARGV[1], ARGV[2]
local status = redis.call('HGET', key(JOB, id), 'status')
if status == 'queued' then finish(id, kind, 'cancelled', 'error', '') return 1 end
if status ~= 'running' then return 0 end
redis.call('HSET', key(JOB, id), 'cancel_requested', '1')
event(id, 'cancel_requested')
return 1
"""
)

# Jobs whose holder was not heard of for a whole lease. ARGV: kind. Answers how many.
SWEEP = (
    _PRELUDE
    + """
local kind = ARGV[1]
local ids = redis.call('ZRANGEBYSCORE', key(RUNNING, kind), '-inf', now)
for _, id in ipairs(ids) do
  local job = redis.call('HMGET', key(JOB, id), 'attempt', 'max_attempts', 'cancel_requested')
  redis.call('ZREM', key(RUNNING, kind), id)
  if job[3] == '1' then finish(id, kind, 'cancelled', 'error', '')
  elseif tonumber(job[1]) >= tonumber(job[2]) then
    finish(id, kind, 'failed', 'error',
      'Its worker was lost ' .. job[1] .. ' times, the last time without a word why.')
  else
    redis.call('HSET', key(JOB, id), 'status', 'queued')
    queue(id, kind)
    event(id, 'queued', 'worker lost')
  end
end
return #ids
"""
)
