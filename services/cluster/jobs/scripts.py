"""The transitions of a job, one script each: no reader sees half of one.

Every script takes Redis TIME, and one that a holder calls checks its fencing token first. Keys are
built from ids inside the scripts, so Hearth needs one Redis, not a Redis Cluster (docs/adr/0002).
The client sends a script again when its answer is late, so each answers its own repetition as it
answered the first time.

Redis that has reached its maxmemory refuses a script whose first write takes memory, and lets one
go on whose first write frees some (redis.io, "Scripting with Lua"). So ENQUEUE is refused then, and
what moves a job that is there begins with ZREM: a job must not be swept that cannot be renewed.
"""

from __future__ import annotations

from services.cluster.store.keys import Keys

KEPT_ENDED_JOBS = 10_000  # of a kind
_EVENTS_KEPT_SECONDS = 24 * 3600  # after the end
_PREFIX = "@"  # of an answer that is no job_id

# What ENQUEUE answers, before the id, for a dependency that does not exist.
MISSING = f"{_PREFIX}missing:"
# What CLAIM answers, before the id, for a job whose time window has closed.
CLOSED = f"{_PREFIX}closed:"

_PRELUDE = f"""
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local function seconds(at) return string.format('%.6f', at) end
local stamp = seconds(now)
-- By a function: in a replacement that is a string, "%" means a capture.
local function key(pattern, id)
  return (string.gsub(pattern, '{{}}', function() return id end))
end
local JOB, QUEUE, DELAYED = '{Keys.JOB}', '{Keys.JOB_QUEUE}', '{Keys.JOB_DELAYED}'
local RUNNING, HISTORY, EVENTS = '{Keys.JOB_RUNNING}', '{Keys.JOB_HISTORY}', '{Keys.JOB_EVENTS}'
local WAKE, NUMBER, TOKENS = '{Keys.JOB_WAKE}', '{Keys.JOB_NUMBER}', '{Keys.LEASE_TOKENS}'
local IDEMPOTENCY, DEPENDENTS = '{Keys.JOB_IDEMPOTENCY}', '{Keys.JOB_DEPENDENTS}'
local ENDED, TICKET = '{Keys.JOB_ENDED}', '{Keys.JOB_TICKET}'
local RUN_STATE, RUN_ADAPTERS = '{Keys.RUN_STATE}', '{Keys.RUN_ADAPTERS}'
local EVALUATION = '{Keys.EVALUATION}'
local function get(id, ...) return redis.call('HMGET', key(JOB, id), ...) end
local function record(id) return redis.call('HGETALL', key(JOB, id)) end
local function set(id, ...) redis.call('HSET', key(JOB, id), ...) end
local function event(id, name, data)
  redis.call('XADD', key(EVENTS, id), 'MAXLEN', '~', 2000, '*', 'event', name, 'data', data or '')
end
local function wake(id, kind)
  redis.call('XADD', key(WAKE, kind), 'MAXLEN', '~', 1000, '*', 'job_id', id)
end
local function queue(id, kind)
  local job = get(id, 'priority', 'number')
  redis.call('ZADD', key(QUEUE, kind), tonumber(job[1]) * 1e12 + tonumber(job[2]), id)
  wake(id, kind)
end
-- To be claimed, but not before a time and not before its window opens.
local function settle(id, kind, at)
  local due = math.max(at, tonumber(get(id, 'opens_at')[1] or '0') or 0)
  set(id, 'due_at', seconds(math.max(due, now)))
  if due > now then redis.call('ZADD', key(DELAYED, kind), due, id) else queue(id, kind) end
end
local function forget(id, kind)
  local job = get(id, 'idempotency')
  if job[1] and job[1] ~= '' then redis.call('HDEL', IDEMPOTENCY, job[1]) end
  if kind == 'run' then
    local state = redis.call('GET', key(RUN_STATE, id))
    local evaluation = state and cjson.decode(state).evaluation_id or ''
    if evaluation ~= '' then redis.call('DEL', key(EVALUATION, evaluation)) end
    redis.call('DEL', key(RUN_STATE, id), key(RUN_ADAPTERS, id))
  end
  redis.call('DEL', key(JOB, id), key(EVENTS, id), key(DEPENDENTS, id))
  redis.call('ZREM', key(HISTORY, kind), id)
  redis.call('ZREM', key(ENDED, kind), id)
end
local finish
local function tell_dependents(id, status)
  for _, other in ipairs(redis.call('HKEYS', key(DEPENDENTS, id))) do
    local job = get(other, 'status', 'kind')
    if job[1] == 'queued' then
      if status ~= 'succeeded' then
        finish(other, job[2], 'failed', 'error',
          'It was to begin after ' .. id .. ', which has ' ..
          (status == 'failed' and 'failed' or 'been cancelled') .. '.')
      elseif redis.call('HINCRBY', key(JOB, other), 'num_awaited', -1) == 0 then
        settle(other, job[2], 0)
      end
    end
  end
  redis.call('DEL', key(DEPENDENTS, id))
end
finish = function(id, kind, status, field, value)
  redis.call('ZREM', key(QUEUE, kind), id)
  redis.call('ZREM', key(DELAYED, kind), id)
  redis.call('ZREM', key(RUNNING, kind), id)
  set(id, 'status', status, 'finished_at', stamp, field, value)
  event(id, status, value)
  redis.call('EXPIRE', key(EVENTS, id), {_EVENTS_KEPT_SECONDS})
  redis.call('ZADD', key(ENDED, kind), now, id)
  tell_dependents(id, status)
  local surplus = redis.call('ZCARD', key(ENDED, kind)) - {KEPT_ENDED_JOBS}
  if surplus > 0 then
    for _, old in ipairs(redis.call('ZRANGE', key(ENDED, kind), 0, surplus - 1)) do
      forget(old, kind)
    end
  end
end
local function lost(id, token)
  local job = get(id, 'status', 'token')
  return job[1] ~= 'running' or job[2] ~= token
end
-- Whether the holder of this token has ended the job, or given it back, already.
local function repeated(id, token, ...)
  local job = get(id, 'status', 'token')
  for _, status in ipairs({{...}}) do
    if job[1] == status and job[2] == token then return true end
  end
  return false
end
local function failed_once_more(id)
  return redis.call('HINCRBY', key(JOB, id), 'num_failures', 1)
end
"""

# ARGV: job_id, kind, idempotency field or "", seconds until due, ids of the jobs to await as JSON,
# then field, value, ... of the record. Answers, flat, the record of the job that has this
# idempotency key, or MISSING and the id of a job to await that does not exist.
ENQUEUE = (
    _PRELUDE
    + f"""
local id, kind, idempotency = ARGV[1], ARGV[2], ARGV[3]
local known = idempotency ~= '' and redis.call('HGET', IDEMPOTENCY, idempotency)
if known then return record(known) end
if redis.call('EXISTS', key(JOB, id)) == 1 then return record(id) end
local awaited, unmet = {{}}, ''
for _, other in ipairs(cjson.decode(ARGV[5])) do
  local status = get(other, 'status')[1]
  if not status then return '{MISSING}' .. other end
  if status == 'queued' or status == 'running' then awaited[#awaited + 1] = other
  elseif status ~= 'succeeded' then unmet = other end
end
if idempotency ~= '' then redis.call('HSET', IDEMPOTENCY, idempotency, id) end
local number = redis.call('INCR', NUMBER)
set(id, 'status', 'queued', 'created_at', stamp, 'number', number, 'attempt', 0,
  'idempotency', idempotency, 'num_awaited', #awaited, unpack(ARGV, 6))
redis.call('ZADD', key(HISTORY, kind), number, id)
event(id, 'queued')
if unmet ~= '' then
  finish(id, kind, 'failed', 'error',
    'It was to begin after ' .. unmet .. ', which has not succeeded.')
elseif #awaited == 0 then settle(id, kind, now + ARGV[4])
else
  for _, other in ipairs(awaited) do redis.call('HSET', key(DEPENDENTS, other), id, '') end
end
return record(id)
"""
)

# ARGV: kind, holder, lease seconds, how many may run at once (0: any number), the claim's own name.
# Answers the record, flat, or CLOSED and the id of a job whose window has to be set anew first.
CLAIM = (
    _PRELUDE
    + f"""
local kind, holder, ticket = ARGV[1], ARGV[2], ARGV[5]
local ttl, limit = tonumber(ARGV[3]), tonumber(ARGV[4])
local claimed = redis.call('GET', key(TICKET, ticket))
if claimed then
  local job = get(claimed, 'status', 'ticket')
  if job[1] == 'running' and job[2] == ticket then return record(claimed) end
end
local due = redis.call('ZRANGEBYSCORE', key(DELAYED, kind), '-inf', now, 'LIMIT', 0, 100)
for _, id in ipairs(due) do
  redis.call('ZREM', key(DELAYED, kind), id)
  queue(id, kind)
end
if limit > 0 and redis.call('ZCARD', key(RUNNING, kind)) >= limit then return false end
local first = redis.call('ZRANGE', key(QUEUE, kind), 0, 0)[1]
if not first then return false end
local closes_at = tonumber(get(first, 'closes_at')[1] or '')
if closes_at and closes_at <= now then return '{CLOSED}' .. first end
redis.call('ZREM', key(QUEUE, kind), first)
redis.call('HINCRBY', key(JOB, first), 'attempt', 1)
set(first, 'status', 'running', 'holder', holder, 'token', redis.call('INCR', TOKENS),
  'ticket', ticket, 'started_at', stamp, 'heartbeat_at', stamp, 'yield_requested', '')
redis.call('SET', key(TICKET, ticket), first, 'EX', math.ceil(ttl))
redis.call('ZADD', key(RUNNING, kind), now + ttl, first)
event(first, 'running', holder)
return record(first)
"""
)

# A queued job gets the next times of its window. ARGV: job_id, kind, opens_at, closes_at.
REOPEN = (
    _PRELUDE
    + """
local id, kind = ARGV[1], ARGV[2]
if not redis.call('ZSCORE', key(QUEUE, kind), id) then return 0 end
redis.call('ZREM', key(QUEUE, kind), id)
set(id, 'opens_at', ARGV[3], 'closes_at', ARGV[4])
settle(id, kind, 0)
return 1
"""
)

# ARGV: job_id, kind, token, lease seconds, progress or "", steps done in all so far, resume point
# or "". Answers 0 when lost, else a JobSignal.
HEARTBEAT = (
    _PRELUDE
    + """
local id, kind = ARGV[1], ARGV[2]
if lost(id, ARGV[3]) then return 0 end
redis.call('ZREM', key(RUNNING, kind), id)
redis.call('ZADD', key(RUNNING, kind), now + ARGV[4], id)
set(id, 'heartbeat_at', stamp)
local job = get(id, 'furthest', 'cancel_requested', 'yield_requested', 'closes_at')
if ARGV[5] ~= '' then
  set(id, 'progress', ARGV[5])
  event(id, 'progress', ARGV[5])
  if tonumber(ARGV[6]) > tonumber(job[1] or '0') then
    set(id, 'furthest', ARGV[6], 'num_failures', 0)
  end
end
if ARGV[7] ~= '' then set(id, 'resume', ARGV[7]) end
if job[2] == '1' then return 2 end
local closes_at = tonumber(job[4] or '')
if job[3] == '1' or (closes_at and closes_at <= now) then return 3 end
return 1
"""
)

# ARGV: job_id, kind, token, status, result or error.
FINISH = (
    _PRELUDE
    + """
if repeated(ARGV[1], ARGV[3], ARGV[4]) then return 1 end
if lost(ARGV[1], ARGV[3]) then return 0 end
finish(ARGV[1], ARGV[2], ARGV[4], ARGV[4] == 'failed' and 'error' or 'result', ARGV[5])
return 1
"""
)

# The holder gives the job back. ARGV: job_id, kind, token, seconds to wait, why, "1" for a failed
# attempt. The job fails for good when it may not be tried again, and is cancelled when somebody
# wished so meanwhile. A window that has closed is set anew by the next claim.
GIVE_BACK = (
    _PRELUDE
    + """
local id, kind = ARGV[1], ARGV[2]
if repeated(id, ARGV[3], 'queued', 'failed', 'cancelled') then return 1 end
if lost(id, ARGV[3]) then return 0 end
redis.call('ZREM', key(RUNNING, kind), id)
local job = get(id, 'cancel_requested', 'max_attempts')
if job[1] == '1' then finish(id, kind, 'cancelled', 'error', '') return 1 end
if ARGV[6] == '1' and failed_once_more(id) >= tonumber(job[2]) then
  finish(id, kind, 'failed', 'error', ARGV[5])
  return 1
end
set(id, 'status', 'queued', 'error', ARGV[5])
event(id, 'queued', ARGV[5])
settle(id, kind, now + ARGV[4])
return 1
"""
)

# ARGV: job_id, kind, the call's own name. Answers 0 when it has ended already.
CANCEL = (
    _PRELUDE
    + """
local id, kind = ARGV[1], ARGV[2]
local job = get(id, 'status', 'cancel_requested', 'cancelled_by')
if job[1] == 'queued' then
  set(id, 'cancelled_by', ARGV[3])
  finish(id, kind, 'cancelled', 'error', '')
  return 1
end
if job[1] ~= 'running' then return job[3] == ARGV[3] and 1 or 0 end
if job[2] == '1' then return 1 end
set(id, 'cancel_requested', '1', 'cancelled_by', ARGV[3])
event(id, 'cancel_requested')
wake(id, kind)
return 1
"""
)

# Asks the holder of a running job to give it back, to go on later. ARGV: job_id, kind, why.
# Answers 0 when nobody runs it.
ASK_TO_YIELD = (
    _PRELUDE
    + """
local id, kind = ARGV[1], ARGV[2]
local job = get(id, 'status', 'yield_requested')
if job[1] ~= 'running' then return 0 end
if job[2] == '1' then return 1 end
set(id, 'yield_requested', '1')
event(id, 'yield_requested', ARGV[3])
wake(id, kind)
return 1
"""
)

# Jobs whose lease had ended at a time. ARGV: kind, that time, when Redis answered: what was sent to
# a Redis that stood still is done when it goes on, before any holder can renew. Answers the ids.
SWEEP = (
    _PRELUDE
    + """
local kind = ARGV[1]
local ids = redis.call('ZRANGEBYSCORE', key(RUNNING, kind), '-inf', ARGV[2], 'LIMIT', 0, 100)
for _, id in ipairs(ids) do
  local job = get(id, 'max_attempts', 'cancel_requested')
  redis.call('ZREM', key(RUNNING, kind), id)
  if job[2] == '1' then finish(id, kind, 'cancelled', 'error', '')
  else
    local num_failures = failed_once_more(id)
    if num_failures >= tonumber(job[1]) then
      finish(id, kind, 'failed', 'error',
        'Its worker was lost ' .. num_failures .. ' times, the last time without a word why.')
    else
      set(id, 'status', 'queued')
      event(id, 'queued', 'worker lost')
      settle(id, kind, 0)
    end
  end
end
return ids
"""
)

# Everything of an ended job goes. ARGV: job_id, kind. Answers 0 when it has not ended.
FORGET = (
    _PRELUDE
    + """
local id, kind = ARGV[1], ARGV[2]
if redis.call('EXISTS', key(JOB, id)) == 0 then return 1 end
if not redis.call('ZSCORE', key(ENDED, kind), id) then return 0 end
forget(id, kind)
return 1
"""
)

# ARGV: kind, first, last: places in the history, newest first. Answers each as a flat record.
HISTORY_PAGE = (
    _PRELUDE
    + """
local found = {}
for _, id in ipairs(redis.call('ZREVRANGE', key(HISTORY, ARGV[1]), ARGV[2], ARGV[3])) do
  found[#found + 1] = record(id)
end
return found
"""
)

# ARGV: kind. Answers how many are queued, wait for a time or another job, run; seconds of the
# longest wait since a job was due, among the first thousand that may be claimed.
CENSUS = (
    _PRELUDE
    + """
local kind = ARGV[1]
local queued = redis.call('ZCARD', key(QUEUE, kind))
local running = redis.call('ZCARD', key(RUNNING, kind))
local open = redis.call('ZCARD', key(HISTORY, kind)) - redis.call('ZCARD', key(ENDED, kind))
local oldest = now
for _, id in ipairs(redis.call('ZRANGE', key(QUEUE, kind), 0, 999)) do
  oldest = math.min(oldest, tonumber(get(id, 'due_at')[1] or stamp))
end
return {queued, open - queued - running, running, seconds(now - oldest)}
"""
)
