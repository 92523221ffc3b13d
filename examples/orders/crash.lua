-- wrk script of loadtest --crash: SHARE of a hundred requests crash in mixed ways; the others place orders and look them up.
-- Every answer is counted, and the time of each good one is taken apart: an order is told by its item, a look-up by its id. The last moments
-- see look-ups only, so that no order is still on its way when wrk hangs up.
--     wrk -t1 ... -s crash.lua URL -- SECONDS BEFORE SHARE PAUSE
-- BEFORE: how many orders there are already; PAUSE: ms between a connection's answer and its next request.
local threads = {}

function setup(thread) table.insert(threads, thread) end

local ffi = require("ffi")
ffi.cdef [[
    typedef struct { long seconds, nanoseconds; } time_spec;
    int clock_gettime(int clock, time_spec* now);
]]
local now = ffi.new("time_spec")
local function seconds()
    ffi.C.clock_gettime(1, now)
    return tonumber(now.seconds) + tonumber(now.nanoseconds) / 1e9
end

local json = {["Content-Type"] = "application/json"}
local kinds = {"null", "overflow", "abort", "throw", "div"}
local before, share, pause, calm_from
local sent = {} -- when each good request left, by its item or id

function init(args)
    local duration = tonumber(args[1])
    before, share, pause = tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
    calm_from = seconds() + duration - math.min(1, duration / 4)
end

-- Global: wrk hands them from the thread to done().
calls, goods, lookups, crashes, created, found, crashed, others = 0, 0, 0, 0, 0, 0, 0, 0
latencies = {} -- of the good ones, in seconds

function delay() return pause end

function request()
    calls = calls + 1
    if calls == 1 then return wrk.format("GET", "/healthz") end -- a trial that wrk does not send
    local time = seconds()
    local calm = time > calm_from
    if not calm and (calls * share) % 100 < share then
        crashes = crashes + 1
        return wrk.format("GET", "/crash/" .. kinds[crashes % #kinds + 1])
    end
    if calm or calls % 2 == 0 then
        lookups = lookups + 1
        local id = lookups % (before + created) + 1
        sent[tostring(id)] = time
        return wrk.format("GET", "/orders/" .. id)
    end
    goods = goods + 1
    sent["tea " .. goods] = time
    return wrk.format("POST", "/orders", json, string.format('{"item": "tea %d", "quantity": 2}', goods))
end

local function took(what)
    if sent[what] then latencies[#latencies + 1] = seconds() - sent[what] end
    sent[what] = nil
end

function response(status, headers, body)
    if status == 201 and headers["Location"] then
        created = created + 1
        took(body:match('"item":"(tea %d+)"'))
    elseif status == 500 then
        crashed = crashed + 1
    elseif status == 200 and body:find('"item":"tea', 1, true) then
        found = found + 1
        took(body:match('"id":(%d+)'))
    else
        others = others + 1
    end
end

function done(summary)
    local t = threads[1]
    local function line(...) io.write(string.format(...), "\n") end
    local times = t:get("latencies")
    table.sort(times)
    local function percentile(p) return (times[math.max(1, math.ceil(#times * p))] or 0) * 1000 end
    line("orders placed %d of %d, looked up %d, crashes answered 500 %d of %d, wrong answers %d", t:get("created"), t:get("goods"),
        t:get("found"), t:get("crashed"), t:get("crashes"), t:get("others"))
    line("%.0f requests/s, good ones: p50=%.2f p99=%.2f ms", summary.requests / summary.duration * 1e6, percentile(0.5), percentile(0.99))
    local e = summary.errors
    local exact = t:get("created") == t:get("goods") and t:get("crashed") == t:get("crashes") and t:get("others") == 0
    local clean = e.connect + e.read + e.write + e.timeout == 0
    line("placed=%d verdict=%s", t:get("created"), exact and clean and t:get("goods") > 0 and "good" or "bad")
end
