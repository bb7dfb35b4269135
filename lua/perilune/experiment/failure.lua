--- How an experiment ends because of a person's mistake or of the machine: with one line and
-- exit status 1, without a traceback (internal).
-- @module perilune.experiment.failure

local failure = {}

local meta = {__name = "failure", __tostring = function(self) return self.message end}

--- Raises an error that the program prints as `perilune: message`.
-- @param format as of string.format
-- @param ... what to put in
function failure.fail(format, ...)
  error(setmetatable({message = format:format(...), traceback = false}, meta), 0)
end

--- Gives its arguments back, or fails with the message if the first is nil or false.
-- @param value what a function gave
-- @param message its second result
-- @return the value
function failure.must(value, message, ...)
  if not value then failure.fail("%s", tostring(message)) end
  return value, message, ...
end

return failure
