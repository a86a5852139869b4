-- What every script begins with.
local call, format = redis.call, string.format
local STATE, me = KEYS[1], ARGV[1]
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2] -- the clock
local heartbeat, lease, fast_death = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
