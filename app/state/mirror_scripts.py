"""What the mirror has Redis do in one step: store the newer copy, take one out, call it complete, read for a boot."""

PUT = """
local cur = redis.call('HGET', KEYS[1], 'o:' .. ARGV[1])
if cur and ARGV[4] == '' and cur >= ARGV[2] then
  if cur == ARGV[2] then return 0 end
  return 1
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3], 'o:' .. ARGV[1], ARGV[2])
redis.call('PERSIST', KEYS[1])
redis.call('SADD', KEYS[2], ARGV[5])
return 1
"""
# Where it is news, the watcher's alarm goes off now.
PUT_AND_WAKE = f"""
local function put() {PUT} end
local news = put()
if news == 1 then
  local t = redis.call('TIME')
  redis.call('ZADD', KEYS[3], 'LT', t[1] * 1000 + math.floor(t[2] / 1000), ARGV[5])
end
return news
"""
REMOVE = """
local cur = redis.call('HGET', KEYS[1], 'o:' .. ARGV[1])
if cur and cur > ARGV[2] .. '~' then return 0 end
local had = redis.call('HDEL', KEYS[1], ARGV[1])
if ARGV[2] == '' then redis.call('HDEL', KEYS[1], 'o:' .. ARGV[1])
else redis.call('HSET', KEYS[1], 'o:' .. ARGV[1], ARGV[2] .. '~') end
for i = 5, #ARGV do if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then return had end end
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('SREM', KEYS[2], ARGV[4])
return had
"""
COMPLETE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if tonumber(ARGV[2]) > 0 then redis.call('SET', KEYS[2], 1, 'PX', ARGV[2]) end
redis.call('SET', KEYS[4], 1, 'PX', ARGV[3])
redis.call('SET', KEYS[3], 1)
return 1
"""
# Some fields of a machine, and how many of the marks stand.
READ = """
local there = redis.call('HEXISTS', KEYS[1], ARGV[1])
return {redis.call('HMGET', KEYS[1], unpack(ARGV, 2)), there, redis.call('EXISTS', KEYS[2], KEYS[3])}
"""
