"""The transitions of projects, sources, scans and datasets, one script each.

Keys are built from ids inside the scripts, so Hearth needs one Redis, not a Redis Cluster
(docs/adr/0002). A change compares with the record as the writer read it, and is refused when
another writer was faster. The client sends a script again when its answer is late, so each accepts
its own repetition: what it was to do is done already.
"""

from __future__ import annotations

from services.cluster.store.keys import Keys

# What a script answers instead of a record or 1.
TAKEN = 0
GONE = -1

_PRELUDE = f"""
local t = redis.call('TIME')
local now = t[1] + t[2] / 1000000
-- By a function: in a replacement that is a string, "%" means a capture.
local function key(pattern, id)
  return (string.gsub(pattern, '{{}}', function() return id end))
end
local PROJECTS, NAMES, STATE = '{Keys.PROJECTS}', '{Keys.PROJECT_NAMES}', '{Keys.PROJECT_STATE}'
local SOURCES, COUNTS = '{Keys.SOURCES}', '{Keys.SOURCE_COUNTS}'
local BY_NAME, EVENTS = '{Keys.PROJECT_SOURCES}', '{Keys.SOURCE_EVENTS}'
local IDEMPOTENCY, DUE = '{Keys.SOURCE_IDEMPOTENCY}', '{Keys.SCANS_DUE}'
local SCANS, DATASETS = '{Keys.PROJECT_SCANS}', '{Keys.DATASETS}'
local PROJECT_DATASETS, JOB = '{Keys.PROJECT_DATASETS}', '{Keys.JOB}'
local function view(id)
  local state = redis.call('HMGET', key(STATE, id), 'latest_scan_id', 'latest_dataset_id')
  return {{redis.call('HGET', PROJECTS, id), state[1] or '', state[2] or '',
    redis.call('HLEN', key(BY_NAME, id))}}
end
local function told(project, source)
  redis.call('XADD', key(EVENTS, project), 'MAXLEN', '~', 1000, '*', 'source_id', source)
end
local function due(project, seconds)
  if cjson.decode(redis.call('HGET', PROJECTS, project)).manual_scans then return end
  redis.call('ZADD', DUE, now + seconds, project)
end
"""

# ARGV: project_id, record, "TEAM/NAME". Answers 0 when the name is taken.
CREATE_PROJECT = (
    _PRELUDE
    + """
if redis.call('HEXISTS', PROJECTS, ARGV[1]) == 1 then return 1 end
if redis.call('HSETNX', NAMES, ARGV[3], ARGV[1]) == 0 then return 0 end
redis.call('HSET', PROJECTS, ARGV[1], ARGV[2])
return 1
"""
)

# ARGV: project_id. Answers the record or false, latest scan, latest dataset, number of sources.
GET_PROJECT = _PRELUDE + "return view(ARGV[1])"

# The same of every project.
LIST_PROJECTS = (
    _PRELUDE
    + """
local found = {}
for _, id in ipairs(redis.call('HKEYS', PROJECTS)) do found[#found + 1] = view(id) end
return found
"""
)

# ARGV: project_id, record before, record, "TEAM/NAME" before, "TEAM/NAME".
# Answers 0 when the name is taken, -1 when the record is another by now.
CHANGE_PROJECT = (
    _PRELUDE
    + """
local found = redis.call('HGET', PROJECTS, ARGV[1])
if found ~= ARGV[2] then return found == ARGV[3] and 1 or -1 end
if ARGV[4] ~= ARGV[5] then
  if redis.call('HSETNX', NAMES, ARGV[5], ARGV[1]) == 0 then return 0 end
  redis.call('HDEL', NAMES, ARGV[4])
end
redis.call('HSET', PROJECTS, ARGV[1], ARGV[3])
return 1
"""
)

# ARGV: project_id, record before, "TEAM/NAME". Answers -1 when the record is another by now.
DELETE_PROJECT = (
    _PRELUDE
    + """
local id = ARGV[1]
local found = redis.call('HGET', PROJECTS, id)
if found ~= ARGV[2] then return found and -1 or 1 end
for _, source in ipairs(redis.call('HVALS', key(BY_NAME, id))) do
  redis.call('HDEL', SOURCES, source)
  redis.call('HDEL', COUNTS, source)
end
for _, dataset in ipairs(redis.call('ZRANGE', key(PROJECT_DATASETS, id), 0, -1)) do
  redis.call('HDEL', DATASETS, dataset)
end
redis.call('HDEL', PROJECTS, id)
redis.call('HDEL', NAMES, ARGV[3])
redis.call('ZREM', DUE, id)
for _, pattern in ipairs({STATE, BY_NAME, EVENTS, IDEMPOTENCY, SCANS, PROJECT_DATASETS}) do
  redis.call('DEL', key(pattern, id))
end
return 1
"""
)

# ARGV: project_id, source_id, record, name, idempotency key or "", seconds until a scan is due.
# Answers the id of the source that has this key, 0 when the name is taken, -1 without a project.
ADD_SOURCE = (
    _PRELUDE
    + """
local project, source = ARGV[1], ARGV[2]
if redis.call('HEXISTS', PROJECTS, project) == 0 then return -1 end
local known = ARGV[5] ~= '' and redis.call('HGET', key(IDEMPOTENCY, project), ARGV[5])
if known then return known end
if redis.call('HEXISTS', SOURCES, source) == 1 then return source end
if redis.call('HSETNX', key(BY_NAME, project), ARGV[4], source) == 0 then return 0 end
if ARGV[5] ~= '' then redis.call('HSET', key(IDEMPOTENCY, project), ARGV[5], source) end
redis.call('HSET', SOURCES, source, ARGV[3])
told(project, source)
due(project, tonumber(ARGV[6]))
return source
"""
)

# ARGV: project_id, source_id, record before, record, name before, name, idempotency key or "",
# seconds until a scan is due.
# Answers 0 when the name is taken, -1 when the record is another by now.
CHANGE_SOURCE = (
    _PRELUDE
    + """
local project, source = ARGV[1], ARGV[2]
local found = redis.call('HGET', SOURCES, source)
if found ~= ARGV[3] then return found == ARGV[4] and 1 or -1 end
if ARGV[5] ~= ARGV[6] then
  if redis.call('HSETNX', key(BY_NAME, project), ARGV[6], source) == 0 then return 0 end
  redis.call('HDEL', key(BY_NAME, project), ARGV[5])
end
if ARGV[7] ~= '' then redis.call('HSET', key(IDEMPOTENCY, project), ARGV[7], source) end
redis.call('HSET', SOURCES, source, ARGV[4])
told(project, source)
due(project, tonumber(ARGV[8]))
return 1
"""
)

# ARGV: project_id, source_id, record before, name, seconds until a scan is due.
# Answers -1 when the record is another by now.
DELETE_SOURCE = (
    _PRELUDE
    + """
local project, source = ARGV[1], ARGV[2]
local found = redis.call('HGET', SOURCES, source)
if found ~= ARGV[3] then return found and -1 or 1 end
redis.call('HDEL', SOURCES, source)
redis.call('HDEL', COUNTS, source)
redis.call('HDEL', key(BY_NAME, project), ARGV[4])
local keys = redis.call('HGETALL', key(IDEMPOTENCY, project))
for i = 1, #keys, 2 do
  if keys[i + 1] == source then redis.call('HDEL', key(IDEMPOTENCY, project), keys[i]) end
end
told(project, source)
due(project, tonumber(ARGV[5]))
return 1
"""
)

# ARGV: project_id. Answers every source's record and counts (or ""), -1 without a project.
LIST_SOURCES = (
    _PRELUDE
    + """
if redis.call('HEXISTS', PROJECTS, ARGV[1]) == 0 then return -1 end
local found = {}
for _, source in ipairs(redis.call('HVALS', key(BY_NAME, ARGV[1]))) do
  found[#found + 1] = {redis.call('HGET', SOURCES, source),
    redis.call('HGET', COUNTS, source) or ''}
end
return found
"""
)

# Projects whose scan is due, each with the time that it was due.
DUE_PROJECTS = (
    _PRELUDE + "return redis.call('ZRANGEBYSCORE', DUE, '-inf', string.format('%.6f', now),"
    " 'WITHSCORES')"
)

# ARGV: project_id, time that it was due. A later change keeps it due.
SETTLE_DUE = (
    _PRELUDE
    + """
if redis.call('ZSCORE', DUE, ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('ZREM', DUE, ARGV[1])
"""
)

# ARGV: project_id, latest scan as the caller read it, scan_id. Answers 0 when another is the
# latest by now, -1 without a project.
RECORD_SCAN = (
    _PRELUDE
    + """
local project = ARGV[1]
if redis.call('HEXISTS', PROJECTS, project) == 0 then return -1 end
local latest = redis.call('HGET', key(STATE, project), 'latest_scan_id') or ''
if latest == ARGV[3] then return 1 end
if latest ~= ARGV[2] then return 0 end
redis.call('HSET', key(STATE, project), 'latest_scan_id', ARGV[3])
redis.call('ZADD', key(SCANS, project), string.format('%.6f', now), ARGV[3])
return 1
"""
)

# ARGV: project_id, dataset_id, record, scan_id, fencing token of the scan's attempt, then
# source_id, counts, ... Answers 0 when the attempt was lost, -1 when it was cancelled or the
# project is gone.
RECORD_DATASET = (
    _PRELUDE
    + """
local project, dataset, scan = ARGV[1], ARGV[2], ARGV[4]
local job = redis.call('HMGET', key(JOB, scan), 'status', 'token', 'cancel_requested')
if job[1] ~= 'running' or job[2] ~= ARGV[5] then return 0 end
if job[3] == '1' or redis.call('HEXISTS', PROJECTS, project) == 0 then return -1 end
redis.call('HSETNX', DATASETS, dataset, ARGV[3])
redis.call('ZADD', key(PROJECT_DATASETS, project), 'NX', string.format('%.6f', now), dataset)
redis.call('HSET', key(STATE, project), 'latest_dataset_id', dataset)
for i = 6, #ARGV, 2 do
  if redis.call('HEXISTS', SOURCES, ARGV[i]) == 1 then
    redis.call('HSET', COUNTS, ARGV[i], ARGV[i + 1])
    told(project, ARGV[i])
  end
end
return 1
"""
)
