-- One ask to the concurrency quota of a group: units held by requests until they are
-- released or their term ends. Times are nanoseconds since the key's base, a whole
-- second, so that they are exact in a double.
-- KEYS[1]: the group's hash. ARGV: kind, quota, request, units, window, seconds, microseconds.
-- The last two pin the clock; empty, it is the server's.
local kind, quota, req, units, window = ARGV[1], tonumber(ARGV[2]), 'r' .. ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local tiny, forever = 1e-9, 9e15
local sec, usec
if ARGV[6] == '' then
  local t = redis.call('TIME')
  sec, usec = tonumber(t[1]), tonumber(t[2])
else
  sec, usec = tonumber(ARGV[6]), tonumber(ARGV[7])
end
local s = redis.call('HMGET', KEYS[1], 'base', 'held', 'next', 'count')
local base, held, nxt, count = tonumber(s[1] or sec), tonumber(s[2] or 0), tonumber(s[3] or forever), tonumber(s[4] or 0)
local now = (sec - base) * 1e9 + usec * 1e3
if not s[1] then redis.call('HSET', KEYS[1], 'base', string.format('%.17g', base)) end

local function read(value) -- units and end of the term
  local sep = string.find(value, ' ', 1, true)
  return tonumber(string.sub(value, 1, sep - 1)), tonumber(string.sub(value, sep + 1))
end
local function write(field, n, ends)
  redis.call('HSET', KEYS[1], field, string.format('%.17g %.17g', n, ends))
end
local function book(n)
  held = held + n
  if count == 0 then held = 0 end -- rounding ends with the last hold
end
local function release(field)
  local value = redis.call('HGET', KEYS[1], field)
  if value then
    redis.call('HDEL', KEYS[1], field)
    count = count - 1
    local n = read(value)
    book(-n)
  end
end

if now >= nxt then -- drop the holds whose term is over
  nxt = forever
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 1) == 'r' then
      local n, ends = read(all[i + 1])
      if ends <= now then release(all[i]) else nxt = math.min(nxt, ends) end
    end
  end
end

local granted, retry, never = 0, 0, 0
if kind == 'hold' then
  if units > quota then
    never = 1
  elseif held + units > quota + tiny then
    retry = math.min(math.max(nxt - now, 0), window)
  else
    release(req) -- one hold per request
    count = count + 1
    write(req, units, now + window)
    nxt = math.min(nxt, now + window)
    book(units)
    granted = units
  end
elseif kind == 'renew' then
  local value = redis.call('HGET', KEYS[1], req)
  if value then
    local n = read(value)
    write(req, n, now + window)
    granted = units
  end
elseif kind == 'release' then
  release(req)
end
redis.call('HSET', KEYS[1], 'held', string.format('%.17g', held), 'next', string.format('%.17g', nxt), 'count', count)
redis.call('PEXPIRE', KEYS[1], 7200000) -- terms are an hour at most
return {string.format('%.17g', granted), string.format('%.17g', quota - held), string.format('%.17g', retry), never}
