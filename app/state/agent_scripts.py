"""What the registry of tunnels has Redis do in one step.

Of two tunnels of a machine that came from one address the newer one stands: the machine has dialled again. From two
addresses the older one stands as long as its agent answers, since the newer one may be anybody's.
"""

_NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "
_WAKE = "redis.call('ZADD', KEYS[4], 'LT', now, ARGV[1]) "
# Of a machine of which there is no resource little is kept for long: anybody can dial as one, and as the next.
_STRANGER_S = 600
_LIFE = (
    "local function life(id, seconds) if redis.call('SISMEMBER', KEYS[7], id) == 1 then return seconds end "
    f"return {_STRANGER_S} end "
)
# Notes of its boots, which live longer, are not cut short.
_EXPIRE_STRANGER = (
    f"if redis.call('TTL', KEYS[3]) < {_STRANGER_S} then redis.call('EXPIRE', KEYS[3], {_STRANGER_S}) end "
)
# ARGV[8]: the number of the tunnel whose place may be taken. ARGV[9]: the age of a tunnel that Redis missed in an
# outage; else 0. The answer: the number, and whether the entry is its own now.
REGISTER = (
    _NOW
    + _LIFE
    + """
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local opened = now - ARGV[9]
local number = opened
if ARGV[9] == '0' then number = math.max(last + 1, now) end
number = string.format('%.0f', number)
redis.call('SET', KEYS[2], string.format('%.0f', math.max(last, number)), 'EX', life(ARGV[1], ARGV[5]))
local stands = redis.call('HMGET', KEYS[1], 'gateway', 'tunnel', 'number')
if stands[3] and stands[1] ~= ARGV[2] and stands[3] ~= ARGV[8] then
  if stands[2] ~= ARGV[4] or tonumber(stands[3]) > tonumber(number) then return {number, 0} end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'gateway', ARGV[2], 'address', ARGV[3], 'tunnel', ARGV[4], 'number', number,
           'opened_ms', string.format('%.0f', opened), 'hello_ms', '0')
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('ZADD', KEYS[4], 'LT', now + ARGV[7], ARGV[1])
return {number, 1}"""
)
HELLO = (
    _NOW
    + """
if redis.call('HGET', KEYS[1], 'number') ~= ARGV[2] then return 0 end
local first = redis.call('HGET', KEYS[1], 'hello_ms') == '0'
redis.call('HSET', KEYS[1], 'hello_ms', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[3], 'f:hello', string.format('%.0f', now))
if first then """
    + _WAKE
    + """
end
if redis.call('SISMEMBER', KEYS[7], ARGV[1]) == 1 then return 1 end
"""
    + _EXPIRE_STRANGER
    + "return 1"
)
# ARGV[10]: '1' where the agent has just answered, so that its tunnel may take the entry back from a newer one. From
# another address only one whose agent has answered since this one was opened is known to be the first and alive.
RENEW = (
    _NOW
    + _LIFE
    + """
local stands = redis.call('HMGET', KEYS[1], 'gateway', 'tunnel', 'number', 'opened_ms', 'hello_ms')
if stands[1] == ARGV[3] and stands[3] == ARGV[2] then
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  return 'kept'
end
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local opened = now - ARGV[9]
local contested = last > tonumber(ARGV[2])
if stands[3] and (stands[1] == ARGV[3] or stands[2] == ARGV[8]) then
  if tonumber(stands[3]) > tonumber(ARGV[2]) then return 'lost' end
elseif stands[3] then
  if tonumber(stands[4]) <= opened and tonumber(stands[5]) > opened then return 'lost' end
  contested = true
end
if contested and ARGV[10] == '0' then return 'contested' end
local hello = '0'
if tonumber(ARGV[5]) >= 0 then hello = string.format('%.0f', now - ARGV[5]) end
redis.call('SET', KEYS[2], string.format('%.0f', math.max(last, ARGV[2])), 'EX', life(ARGV[1], ARGV[7]))
redis.call('HSET', KEYS[1], 'gateway', ARGV[3], 'address', ARGV[4], 'tunnel', ARGV[8], 'number', ARGV[2],
           'opened_ms', string.format('%.0f', opened), 'hello_ms', hello)
redis.call('PEXPIRE', KEYS[1], ARGV[6])
"""
    + _WAKE
    + """
return 'kept'
"""
)
# The end of an operation wakes the watcher anyhow.
UNREGISTER = (
    _NOW
    + _LIFE
    + """
if redis.call('HGET', KEYS[1], 'number') == ARGV[2] then
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[5], string.format('%.0f', now), 'EX', life(ARGV[1], ARGV[3]))
  if redis.call('EXISTS', KEYS[6]) == 0 then """
    + _WAKE
    + """
  end
end
return 1
"""
)
REFUSED = (
    _NOW
    + """
local note = string.format('%.0f', now) .. ' ' .. ARGV[1]
redis.call('INCR', KEYS[8])
redis.call('SET', KEYS[9], ARGV[3] .. ' ' .. note, 'EX', ARGV[2])
redis.call('HSET', KEYS[3], 'f:refused-tunnel', note)
if redis.call('SISMEMBER', KEYS[7], ARGV[3]) == 1 then return end
"""
    + _EXPIRE_STRANGER
)
BEAT = (
    _NOW
    + """
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
return now
"""
)
