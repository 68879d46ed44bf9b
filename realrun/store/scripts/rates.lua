-- One ask to the counter of a group with a rate limit: a token bucket, or the generic
-- cell rate algorithm. All times are nanoseconds since the key's base, a whole second,
-- so that they are exact in a double.
-- KEYS[1]: the group's hash. ARGV: kind, gcra, rate, burst, units, need, window, seconds, microseconds.
-- The last two pin the clock; empty, it is the server's.
local kind, gcra, rate, burst = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3]), tonumber(ARGV[4])
local units, need = tonumber(ARGV[5]), tonumber(ARGV[6])
local tiny = 1e-9
local sec, usec
if ARGV[8] == '' then
  local t = redis.call('TIME')
  sec, usec = tonumber(t[1]), tonumber(t[2])
else
  sec, usec = tonumber(ARGV[8]), tonumber(ARGV[9])
end
local s = redis.call('HMGET', KEYS[1], 'base', 'at', 'tok')
local base = tonumber(s[1] or sec)
local now = (sec - base) * 1e9 + usec * 1e3
local at, tok = tonumber(s[2] or now), tonumber(s[3] or burst)
if now > 4e15 then -- keep what is stored exact: begin a new base
  at, base, now = at - (sec - base) * 1e9, sec, usec * 1e3
end

local function span(n) return math.floor(n / rate * 1e9 + 0.5) end
local function nanos(n) return math.ceil(n / rate * 1e9 - 1e-3) end

-- give the counter the units of the time since the last call; with gcra, at is the
-- theoretical arrival time
if gcra then
  at = math.max(at, now)
elseif now > at then
  local dt = now - at
  local whole = math.floor(dt / 1e9)
  tok, at = math.min(burst, tok + (whole + (dt - whole * 1e9) / 1e9) * rate), now
end
local function left()
  if not gcra then return tok end
  local d = at - now
  local whole = math.floor(d / 1e9)
  return burst - (whole + (d - whole * 1e9) / 1e9) * rate
end
local function has(n)
  if gcra then
    local wait = at + span(n) - now - span(burst)
    return wait <= 0, math.max(wait, 0)
  end
  if tok >= n - tiny then return true, 0 end
  return false, nanos(n - tok)
end
local function take(n)
  if gcra then at = at + span(n) else tok = tok - n end
end
local function give(n)
  if n < 0 then
    take(-n)
  elseif gcra then
    at = math.max(now, at - span(n))
  else
    tok = math.min(burst, tok + n)
  end
end

local granted, retry, never = 0, 0, 0
if kind == 'take' then
  local ok, wait = has(units)
  if ok then
    take(units)
    granted = units
  elseif units > burst then
    never = 1
  else
    retry = wait
  end
elseif kind == 'lease' then
  local l = left()
  local n = math.min(units, math.floor(l + tiny))
  if n < need and l >= need - tiny then n = need end
  if n < need or n <= 0 then
    local ok, wait = has(need)
    retry = wait
  else
    take(n)
    granted = n
  end
elseif kind == 'return' then
  give(units)
elseif kind == 'sync' then
  give(-units)
end
redis.call('HSET', KEYS[1], 'base', string.format('%.17g', base), 'at', string.format('%.17g', at), 'tok', string.format('%.17g', tok))
redis.call('PEXPIRE', KEYS[1], string.format('%d', math.min(math.max(3600000, math.ceil(2000 * burst / rate)), 3e14)))
return {string.format('%.17g', granted), string.format('%.17g', left()), string.format('%.17g', retry), never}
