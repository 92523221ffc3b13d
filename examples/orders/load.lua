-- wrk script of loadtest: of ten requests five place an order, one is the poison order and four look an order up.
-- Every answer is counted, and at the end the counts must match exactly: to that end the last moments see look-ups only, so that no
-- order is still on its way when wrk hangs up.
--     wrk -t1 ... -s load.lua URL -- SECONDS
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
local good, poison, lookup, calm_from

function init(args)
    local duration = tonumber(args[1])
    calm_from = seconds() + duration - math.min(1, duration / 4)
    good = wrk.format("POST", "/orders", json, '{"item": "tea", "quantity": 2}')
    poison = wrk.format("POST", "/orders", json, '{"item": "tea", "quantity": -1}')
end

-- Global: wrk hands them from the thread to done(). One order was placed before.
calls, goods, poisons, created, panicked, found, others = 0, 0, 0, 1, 0, 0, 0

function request()
    calls = calls + 1
    local kind = calls % 10
    if calls == 1 or seconds() > calm_from or (kind > 0 and kind % 2 == 0) then -- the first call is a trial that wrk does not send
        return wrk.format("GET", "/orders/" .. math.random(created))
    end
    if kind == 0 then
        poisons = poisons + 1
        return poison
    end
    goods = goods + 1
    return good
end

function response(status, headers, body)
    if status == 201 and headers["Location"] then
        created = created + 1
    elseif status == 500 then
        panicked = panicked + 1
    elseif status == 200 and body:find('"item":"tea"', 1, true) then
        found = found + 1
    else
        others = others + 1
    end
end

function done(summary, latency)
    local t, e = threads[1], summary.errors
    local function line(...) io.write(string.format(...), "\n") end
    line("orders placed %d of %d, poison answered 500 %d of %d, looked up %d, wrong answers %d", t:get("created") - 1, t:get("goods"),
        t:get("panicked"), t:get("poisons"), t:get("found"), t:get("others"))
    line("socket errors: connect %d, read %d, write %d, timeout %d", e.connect, e.read, e.write, e.timeout)
    line("%.0f requests/s, latency p50 %.2f ms, p99 %.2f ms", summary.requests / summary.duration * 1e6,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000)
    local exact = t:get("created") - 1 == t:get("goods") and t:get("panicked") == t:get("poisons") and t:get("others") == 0
    local clean = e.connect + e.read + e.write + e.timeout == 0
    line("placed=%d verdict=%s", t:get("created") - 1, exact and clean and t:get("goods") > 0 and "good" or "bad")
end
