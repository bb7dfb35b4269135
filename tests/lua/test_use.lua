--- Modules of another experiment, and what experiments need of the machine.

local lu = require "luaunit"
local pl = require "perilune"

local T = {}

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

-- A folder of two experiments, each with a model.
function T:setUp()
  self.folder, self.path = os.tmpname(), package.path
  os.remove(self.folder)
  for _, name in ipairs {"", "/mine", "/other"} do assert(pl.mkdir(self.folder .. name)) end
  write(self.folder .. "/mine/model.lua", "return 'mine'")
  write(self.folder .. "/other/model.lua", "runs = (runs or 0) + 1 return 'other'")
  write(self.folder .. "/other/judge.lua",
        "return {require 'model', require 'perilune' == ..., require 'model'}")
  package.path = self.folder .. "/mine/?.lua;" .. self.path
end

function T:tearDown()
  package.path, package.loaded.model = self.path, nil
  os.execute(("rm -r '%s'"):format(self.folder))
end

function T.test_names_that_both_have()
  lu.assertEquals(require "model", "mine")
  lu.assertEquals(pl.experiment.use "other/model", "other")
  local judge = pl.experiment.use "other/judge"
  lu.assertEquals(judge, {"other", false, "other"})
  lu.assertIs(pl.experiment.use "other/judge", judge)
  lu.assertEquals(require "model", "mine")
  lu.assertNil(rawget(_G, "runs"))
end

function T.test_what_is_not_there()
  lu.assertErrorMsgContains("use: there is no other/thing.lua beside the folder of the script",
                            pl.experiment.use, "other/thing")
  lu.assertErrorMsgContains("use: there is no nil.lua beside", pl.experiment.use)
end

function T:test_file_exists()
  lu.assertTrue(pl.file_exists(self.folder .. "/mine/model.lua"))
  lu.assertFalse(pl.file_exists(self.folder .. "/mine/nothing.lua"))
  lu.assertStrMatches(select(2, pcall(pl.file_exists)), "[^\n]*test_use.lua:%d+: .*")
end

return T
