"""The transitions of a job, one script each: no reader sees half of one.

What the scripts call a kind is the name of its queue, which a lane is a part of. Every script
takes Redis TIME, and one that a holder calls checks its fencing token first. Keys are
built from ids inside the scripts, so Hearth needs one Redis, not a Redis Cluster (docs/adr/0002).
The client sends a script again when its answer is late, so each answers its own repetition as it
answered the first time; when another has taken the job or deleted it since, as a loss of the lease.

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


def _of(pattern: str) -> str:
    """What stands before the id in every key of a family."""
    return pattern.removesuffix("{}")


_PRELUDE = f"""
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
local function seconds(at) return string.format('%.6f', at) end
local stamp = seconds(now)
local JOB, QUEUE, DELAYED = '{_of(Keys.JOB)}', '{_of(Keys.JOB_QUEUE)}', '{_of(Keys.JOB_DELAYED)}'
local RUNNING, HISTORY = '{_of(Keys.JOB_RUNNING)}', '{_of(Keys.JOB_HISTORY)}'
local ENDED, EVENTS = '{_of(Keys.JOB_ENDED)}', '{_of(Keys.JOB_EVENTS)}'
local WAKE, CLAIMS = '{_of(Keys.JOB_WAKE)}', '{_of(Keys.JOB_CLAIMS)}'
local DEPENDENTS = '{_of(Keys.JOB_DEPENDENTS)}'
local PROJECT_SCANS = '{_of(Keys.PROJECT_SCANS)}'
local RUN_STATE, RUN_ADAPTERS = '{_of(Keys.RUN_STATE)}', '{_of(Keys.RUN_ADAPTERS)}'
local EVALUATION = '{_of(Keys.EVALUATION)}'
local NUMBER, TOKENS = '{Keys.JOB_NUMBER}', '{Keys.LEASE_TOKENS}'
local IDEMPOTENCY = '{Keys.JOB_IDEMPOTENCY}'
local function get(id, ...) return redis.call('HMGET', JOB .. id, ...) end
-- As one text: a hundred short ones cost the client more than the script costs Redis.
local function record(id) return cjson.encode(redis.call('HGETALL', JOB .. id)) end
local function set(id, ...) redis.call('HSET', JOB .. id, ...) end
local function event(id, name, data)
  redis.call('XADD', EVENTS .. id, 'MAXLEN', '~', 2000, '*', 'event', name, 'data', data or '')
end
local function wake(id, kind)
  redis.call('XADD', WAKE .. kind, 'MAXLEN', '~', 1000, '*', 'job_id', id)
end
local function queue(id, kind, priority, number)
  redis.call('ZADD', QUEUE .. kind, priority * 1e12 + number, id)
  wake(id, kind)
end
-- When it may be claimed: not before a time and not before its window opens.
local function due_time(at, opens_at)
  return math.max(at, tonumber(opens_at or '') or 0, now)
end
local function place(id, kind, due, priority, number)
  if due > now then redis.call('ZADD', DELAYED .. kind, due, id)
  else queue(id, kind, priority, number) end
end
local function settle(id, kind, at)
  local job = get(id, 'opens_at', 'priority', 'number')
  local due = due_time(at, job[1])
  set(id, 'due_at', seconds(due))
  place(id, kind, due, job[2], job[3])
end
local function forget(id, kind)
  local job = get(id, 'idempotency', 'project_id')
  if kind == 'scan' and job[2] then redis.call('ZREM', PROJECT_SCANS .. job[2], id) end
  if job[1] and job[1] ~= '' then redis.call('HDEL', IDEMPOTENCY, job[1]) end
  if kind == 'run' then
    local state = redis.call('GET', RUN_STATE .. id)
    local evaluation = state and cjson.decode(state).evaluation_id or ''
    if evaluation ~= '' then redis.call('DEL', EVALUATION .. evaluation) end
    redis.call('DEL', RUN_STATE .. id, RUN_ADAPTERS .. id)
  end
  redis.call('DEL', JOB .. id, EVENTS .. id, DEPENDENTS .. id)
  redis.call('ZREM', HISTORY .. kind, id)
  redis.call('ZREM', ENDED .. kind, id)
end
-- Nobody works on it any more.
local function let_go(id, kind)
  redis.call('ZREM', RUNNING .. kind, id)
  local holder = get(id, 'holder')[1]
  if holder and redis.call('HGET', CLAIMS .. kind, holder) == id then
    redis.call('HDEL', CLAIMS .. kind, holder)
  end
end
local finish
local function tell_dependents(id, status)
  for _, other in ipairs(redis.call('HKEYS', DEPENDENTS .. id)) do
    local job = get(other, 'status', 'kind', 'lane')
    if job[1] == 'queued' then
      local kind = job[2]
      if (job[3] or '') ~= '' then kind = kind .. '@' .. job[3] end
      if status ~= 'succeeded' then
        finish(other, kind, 'failed', 'error',
          'It was to begin after ' .. id .. ', which has ' ..
          (status == 'failed' and 'failed' or 'been cancelled') .. '.')
      elseif redis.call('HINCRBY', JOB .. other, 'num_awaited', -1) == 0 then
        settle(other, kind, tonumber(get(other, 'not_before')[1]))
      end
    end
  end
  redis.call('DEL', DEPENDENTS .. id)
end
finish = function(id, kind, status, field, value)
  redis.call('ZREM', QUEUE .. kind, id)
  redis.call('ZREM', DELAYED .. kind, id)
  let_go(id, kind)
  set(id, 'status', status, 'finished_at', stamp, field, value)
  event(id, status, value)
  redis.call('EXPIRE', EVENTS .. id, {_EVENTS_KEPT_SECONDS})
  redis.call('ZADD', ENDED .. kind, now, id)
  tell_dependents(id, status)
  local surplus = redis.call('ZCARD', ENDED .. kind) - {KEPT_ENDED_JOBS}
  if surplus > 0 then
    for _, old in ipairs(redis.call('ZRANGE', ENDED .. kind, 0, surplus - 1)) do
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
  return redis.call('HINCRBY', JOB .. id, 'num_failures', 1)
end
"""

# ARGV: job_id, kind, idempotency field or "", seconds until due, ids of the jobs to await as JSON,
# priority, opens_at or "", the other fields of the record. Answers the record of the job that has
# this idempotency key, or MISSING and the id of a job to await that does not exist. A record is the
# JSON list of its fields and values in turn: one text costs less than thirty.
ENQUEUE = (
    _PRELUDE
    + f"""
local id, kind, idempotency = ARGV[1], ARGV[2], ARGV[3]
local known = idempotency ~= '' and redis.call('HGET', IDEMPOTENCY, idempotency)
if known then return record(known) end
if redis.call('EXISTS', JOB .. id) == 1 then return record(id) end
local awaited, unmet = {{}}, ''
for _, other in ipairs(cjson.decode(ARGV[5])) do
  local status = get(other, 'status')[1]
  if not status then return '{MISSING}' .. other end
  if status == 'queued' or status == 'running' then awaited[#awaited + 1] = other
  elseif status ~= 'succeeded' then unmet = other end
end
if idempotency ~= '' then redis.call('HSET', IDEMPOTENCY, idempotency, id) end
local number = redis.call('INCR', NUMBER)
local not_before = now + ARGV[4]
local due = due_time(not_before, ARGV[7])
set(id, 'status', 'queued', 'created_at', stamp, 'number', number, 'attempt', 0,
  'idempotency', idempotency, 'num_awaited', #awaited, 'not_before', seconds(not_before),
  'due_at', #awaited == 0 and seconds(due) or '', unpack(cjson.decode(ARGV[8])))
redis.call('ZADD', HISTORY .. kind, number, id)
event(id, 'queued')
if unmet ~= '' then
  finish(id, kind, 'failed', 'error',
    'It was to begin after ' .. unmet .. ', which has not succeeded.')
elseif #awaited == 0 then place(id, kind, due, ARGV[6], number)
else
  for _, other in ipairs(awaited) do redis.call('HSET', DEPENDENTS .. other, id, '') end
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
local claimed = redis.call('HGET', CLAIMS .. kind, holder)
if claimed then
  local job = get(claimed, 'status', 'ticket')
  if job[1] == 'running' and job[2] == ticket then return record(claimed) end
end
local due = redis.call('ZRANGEBYSCORE', DELAYED .. kind, '-inf', now, 'LIMIT', 0, 100)
for _, id in ipairs(due) do
  redis.call('ZREM', DELAYED .. kind, id)
  local job = get(id, 'priority', 'number')
  queue(id, kind, job[1], job[2])
end
if limit > 0 and redis.call('ZCARD', RUNNING .. kind) >= limit then return false end
local first = redis.call('ZRANGE', QUEUE .. kind, 0, 0)[1]
if not first then return false end
local job = get(first, 'closes_at', 'attempt')
local closes_at = tonumber(job[1] or '')
if closes_at and closes_at <= now then return '{CLOSED}' .. first end
redis.call('ZREM', QUEUE .. kind, first)
local token = redis.call('INCR', TOKENS)
set(first, 'status', 'running', 'attempt', job[2] + 1, 'holder', holder, 'token', token,
  'ticket', ticket, 'started_at', stamp, 'heartbeat_at', stamp, 'yield_requested', '')
redis.call('HSET', CLAIMS .. kind, holder, first)
redis.call('ZADD', RUNNING .. kind, now + ttl, first)
event(first, 'running', holder)
return record(first)
"""
)

# A queued job gets the next times of its window. ARGV: job_id, kind, opens_at, closes_at.
REOPEN = (
    _PRELUDE
    + """
local id, kind = ARGV[1], ARGV[2]
if not redis.call('ZSCORE', QUEUE .. kind, id) then return 0 end
redis.call('ZREM', QUEUE .. kind, id)
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
redis.call('ZREM', RUNNING .. kind, id)
redis.call('ZADD', RUNNING .. kind, now + ARGV[4], id)
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
let_go(id, kind)
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
  finish(id, kind, 'cancelled', 'error', '')
  set(id, 'cancelled_by', ARGV[3])
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
local ids = redis.call('ZRANGEBYSCORE', RUNNING .. kind, '-inf', ARGV[2], 'LIMIT', 0, 100)
for _, id in ipairs(ids) do
  local job = get(id, 'max_attempts', 'cancel_requested')
  let_go(id, kind)
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
if redis.call('EXISTS', JOB .. id) == 0 then return 1 end
if not redis.call('ZSCORE', ENDED .. kind, id) then return 0 end
forget(id, kind)
return 1
"""
)

# ARGV: kind, first, last: places in the history, newest first. Answers each as a flat record.
HISTORY_PAGE = (
    _PRELUDE
    + """
local found = {}
for _, id in ipairs(redis.call('ZREVRANGE', HISTORY .. ARGV[1], ARGV[2], ARGV[3])) do
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
local queued = redis.call('ZCARD', QUEUE .. kind)
local running = redis.call('ZCARD', RUNNING .. kind)
local open = redis.call('ZCARD', HISTORY .. kind) - redis.call('ZCARD', ENDED .. kind)
local oldest = now
for _, id in ipairs(redis.call('ZRANGE', QUEUE .. kind, 0, 999)) do
  oldest = math.min(oldest, tonumber(get(id, 'due_at')[1] or stamp))
end
return {queued, open - queued - running, running, seconds(now - oldest)}
"""
)
