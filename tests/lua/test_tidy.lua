--- tidy and keep: which tensors end with the call, and which live on.

local lu = require "luaunit"
local pl = require "perilune"

local T = {}
local eq, fails = lu.assertEquals, lu.assertErrorMsgContains

local RELEASED <const> = "this tensor was released (return it from tidy, or keep it)"

local function tensors() return pl.memory().tensors end

-- Calls f with the collector stopped and gives how many more tensors live after it.
local function left_over(f)
  collectgarbage()
  collectgarbage()
  collectgarbage "stop"
  local before = tensors()
  local ok, message = pcall(f)
  local left = tensors() - before
  collectgarbage "restart"
  assert(ok, message)
  return left
end

--
-- What ends
--

function T.test_what_is_made_inside_ends()
  local x = pl.ones(10)
  eq(left_over(function()
    for _ = 1, 10 do
      pl.tidy(function()
        local y = x * 2 + 1
        local rows = {y:max(1)}
        return (y:sum() + rows[1]):item()
      end)
    end
  end), 0)
end

function T.test_a_training_step_leaves_parameters_and_gradients()
  local w, x = pl.ones(3, 2):requires_grad_(), pl.ones(4, 3)
  eq(left_over(function()
    for _ = 1, 3 do
      pl.tidy(function() pl.matmul(x, w):square():sum():backward() end)
    end
  end), 1) -- w.grad
  eq(w.grad:size(), {3, 2})
end

function T.test_released_tensors_say_so()
  local hidden
  local function make() hidden = pl.ones(2) end
  pl.tidy(make)
  eq(tostring(hidden), "tensor (released)")
  fails(RELEASED, function() return hidden[1] end)
  fails(RELEASED, function() hidden[1] = 1 end)
  fails(RELEASED, function() return hidden:sum() end)
  fails(RELEASED, function() return hidden + 1 end)
  fails(RELEASED, function() return 1 + hidden end)
  fails(RELEASED, function() return -hidden end)
  fails(RELEASED, function() return #hidden end)
  fails(RELEASED, function() return hidden.grad end)
  fails(RELEASED, function() hidden.grad = pl.ones(2) end)
  fails(RELEASED, function() return pl.sum(hidden) end)
  fails(RELEASED, function() pl.keep(hidden) end)
  fails(RELEASED, function() return pl.ones(2):add_(hidden) end)
  fails(RELEASED, function() return pl.cat {hidden} end)
  fails(RELEASED, function() return pl.linear(pl.ones(1, 1), pl.ones(1, 1), hidden) end)
  fails(RELEASED, function() return pl.grad(hidden, hidden) end)
  fails(RELEASED, function() return pl.ones(2)[hidden] end)
  fails(RELEASED, function() local t = pl.ones(2) t[1] = hidden end)
  fails(RELEASED, function() return pl.total_norm {hidden} end)
  eq(hidden == hidden, true)
  eq(hidden == pl.ones(2), false)
  eq(pl.is_tensor(hidden), true)
end

function T.test_variables_may_close_tensors()
  eq(left_over(function()
    local t <close> = pl.ones(2)
    eq(t[1], 1)
  end), 0)
end

--
-- What lives on
--

function T.test_results_live_on()
  local a, b, n, s = pl.tidy(function(x)
    local y = x + 1
    return y, y * 2, 7, "text"
  end, pl.ones(2))
  eq({a[1], b[1], n, s}, {2, 4, 7, "text"})
  eq(select("#", pl.tidy(function() return nil, nil, nil end)), 3)
  eq(select("#", pl.tidy(function() end)), 0)
end

function T.test_tables_of_results_live_on()
  local r = pl.tidy(function()
    local shared = pl.ones(1)
    local t = {pl.ones(2), {deep = {pl.ones(3), shared}}, shared = shared, [pl.ones(4)] = true}
    t.itself = t
    return t
  end)
  eq(r[1]:sum():item(), 2)
  eq(r[2].deep[1]:sum():item(), 3)
  eq(r.shared == r[2].deep[2], true)
  eq(r.itself == r, true)
  local function nested(depth)
    return function()
      local t = {pl.ones(1)}
      for _ = 2, depth do t = {t} end
      return t
    end
  end
  local t = pl.tidy(nested(100))
  for _ = 2, 100 do t = t[1] end
  eq(t[1]:item(), 1)
  fails("tidy: what is returned is nested deeper than 100 tables",
        function() pl.tidy(nested(102)) end)
end

function T.test_networks_live_on()
  local net = pl.tidy(function()
    return pl.nn.Sequential {pl.nn.Linear(2, 3), pl.nn.BatchNorm1d(3)}
  end)
  eq(net(pl.ones(4, 2)):size(), {4, 3})
  eq(#net:buffers(), 2)
end

function T.test_parameters_live_on()
  local w
  pl.tidy(function() w = pl.ones(2):requires_grad_() end)
  eq(w:sum():item(), 2)
  local was
  pl.tidy(function()
    was = pl.ones(2):requires_grad_()
    was:requires_grad_(false)
  end)
  fails(RELEASED, function() return was[1] end)
end

function T.test_tensors_from_outside_live_on()
  local x = pl.ones(2)
  pl.tidy(function()
    local alias = x
    x:add_(1)
    return alias:sum():item()
  end)
  eq(x[1], 2)
end

function T.test_the_values_of_an_ended_view_live_on()
  local base = pl.ones(4)
  pl.tidy(function() base:slice(1, 1, 2):fill_(5) end)
  eq(base:totable(), {5, 5, 1, 1})
  local view = pl.tidy(function() return pl.arange(1, 4):slice(1, 2, 2) end)
  eq(view:totable(), {2, 3})
end

function T.test_graphs_live_on()
  local w = pl.ones(2):requires_grad_()
  local loss = pl.tidy(function()
    local h = w * 3
    return (h * h):sum()
  end)
  loss:backward()
  eq(w.grad:totable(), {18, 18})
end

function T.test_keep()
  local kept
  local returned = pl.tidy(function()
    kept = pl.keep(pl.ones(2))
    return kept
  end)
  eq(kept == returned, true)
  local inner
  pl.tidy(function()
    pl.tidy(function() inner = pl.keep(pl.ones(3)) end)
    eq(inner:sum():item(), 3)
  end)
  eq(inner:sum():item(), 3)
  local outer
  pl.tidy(function()
    outer = pl.ones(4)
    pl.tidy(function() pl.keep(outer) end) -- made one level further out
  end)
  eq(outer:sum():item(), 4)
  eq(pl.keep(outer) == outer, true)
end

--
-- Nesting and errors
--

function T.test_results_of_an_inner_tidy_end_with_the_outer_one()
  local escaped
  eq(left_over(function()
    pl.tidy(function()
      local y = pl.tidy(function() return pl.ones(2) * 2 end)
      eq(y[1], 2)
      escaped = y
    end)
  end), 0)
  fails(RELEASED, function() return escaped[1] end)
end

function T.test_results_pass_through_several_levels()
  local t = pl.tidy(function()
    return pl.tidy(function()
      return {pl.tidy(function() return pl.ones(2) end)}
    end)
  end)
  eq(t[1]:totable(), {1, 1})
end

function T.test_errors_end_it_too()
  eq(left_over(function()
    local ok, e = pcall(pl.tidy, function()
      local _ = pl.ones(5) * 2
      pl.tidy(function()
        local _ = pl.ones(5) * 2
        error({code = 3})
      end)
    end)
    eq({ok, e.code}, {false, 3})
  end), 0)
  local after = pl.ones(3) -- is no longer listed
  pl.tidy(function() end)
  eq(after:sum():item(), 3)
end

function T.test_the_traceback_is_that_of_the_error()
  local function innermost_function() error "here" end
  local _, trace = xpcall(pl.tidy, debug.traceback, function()
    local _ = pl.ones(2)
    innermost_function()
    return 1
  end)
  lu.assertStrContains(trace, "innermost_function")
  lu.assertStrContains(trace, ".tidy'")
end

function T.test_errors_of_the_engine_are_the_callers()
  local _, message = pcall(pl.tidy, function()
    return pl.ones(2) + pl.ones(3)
  end)
  lu.assertStrMatches(message,
                      ".*test_tidy.lua:%d+: add: real%[2%] and real%[3%] do not broadcast.*")
end

function T.test_callable_tables()
  local net = pl.nn.Linear(2, 3)
  eq(pl.tidy(net, pl.ones(4, 2)):size(), {4, 3})
  local y = pl.no_grad(net, pl.ones(4, 2))
  eq({y.requires_grad, y:size(1)}, {false, 4})
end

function T.test_tidy_inside_no_grad_and_around_it()
  local w = pl.ones(1):requires_grad_()
  local a = pl.no_grad(pl.tidy, function() return w * 2 end)
  local b = pl.tidy(pl.no_grad, function() return w * 2 end)
  eq({a.requires_grad, b.requires_grad, (w * 2).requires_grad}, {false, false, true})
end

--
-- Coroutines
--

function T.test_coroutines_inside()
  eq(left_over(function()
    pl.tidy(function()
      local next_row = coroutine.wrap(function()
        for i = 1, 3 do coroutine.yield(pl.full({2}, i)) end
      end)
      local total = 0
      for row in next_row do total = total + row:sum():item() end
      eq(total, 12)
    end)
  end), 0)
end

function T.test_yields_out_of_it_are_refused()
  local co = coroutine.create(function()
    pl.tidy(function()
      local _ = pl.ones(2)
      coroutine.yield()
    end)
  end)
  local ok, message = coroutine.resume(co)
  eq(ok, false)
  lu.assertStrContains(message, "attempt to yield across a C-call boundary")
end

function T.test_a_coroutine_that_died_inside()
  local hidden
  local co = coroutine.create(function()
    pl.tidy(function()
      hidden = pl.ones(2)
      error "dead"
    end)
  end)
  eq(coroutine.resume(co), false)
  local after = pl.ones(3) -- ends the tidy of the dead coroutine
  fails(RELEASED, function() return hidden[1] end)
  pl.tidy(function() end)
  eq(after:sum():item(), 3)
  coroutine.close(co) -- too late to end anything again
  eq(after:sum():item(), 3)
end

function T.test_a_coroutine_that_died_inside_an_outer_tidy()
  local kept, lost
  pl.tidy(function()
    local co = coroutine.create(function()
      pl.no_grad(function()
        pl.tidy(function() error "dead" end)
      end)
    end)
    coroutine.resume(co)
    lost, kept = pl.ones(1), pl.keep(pl.ones(2))
  end)
  fails(RELEASED, function() return lost[1] end)
  eq(kept:sum():item(), 2)
  eq((pl.ones(1):requires_grad_() * 2).requires_grad, true)
end

function T.test_many_coroutines_that_died_inside()
  for i = 1, 50 do
    local co = coroutine.create(function() pl.tidy(function() error(pl.ones(1) and "dead") end) end)
    coroutine.resume(co)
    if i % 7 == 0 then collectgarbage() end
  end
  eq(pl.ones(2):sum():item(), 2)
end

--
-- Many
--

function T.test_many_tensors()
  eq(left_over(function()
    local sum = pl.tidy(function()
      local total = pl.zeros(1)
      for i = 1, 5000 do
        total = total + i
        if i % 1000 == 0 then collectgarbage "step" end
      end
      return total
    end)
    eq(sum:item(), 12502500)
    sum = nil
    collectgarbage()
    collectgarbage "stop"
  end), 0)
end

return T
