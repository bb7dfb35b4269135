--- The documents: the reference page is what the script writes, links lead somewhere, the first
-- script, the pages of the book, the gallery and the scripts of bench/ run. perilune tests/docs/run.lua; the last line is
-- `N passed, N failed`.

local lu = require "luaunit"

local here = arg[0]:match "^(.*/)" or "./"
package.path = here .. "?.lua;" .. here .. "../training/?.lua;" .. package.path
local pl = require "perilune"
local book = require "book"
local links = require "links"
local program = require "program"

local root = here .. "../.."
local docs, bench = {}, {}

-- On one thread: nothing is timed here, and other tests may run beside these.
local function runs(format, ...)
  local line = ("cd '%s' && export OMP_NUM_THREADS=1 && "):format(root) .. format:format(...)
  local output, status = program.run(line)
  lu.assertEquals(status, 0, line .. "\n" .. output)
  return output
end

function docs.test_the_reference_page_is_up_to_date()
  local written = runs "@perilune scripts/reference.lua"
  lu.assertTrue(written == program.bytes(root .. "/docs/reference.md"),
                "docs/reference.md is old: perilune scripts/reference.lua > docs/reference.md")
end

function docs.test_the_page_of_names_is_up_to_date()
  local written = runs "@perilune scripts/names.lua"
  lu.assertTrue(written == program.bytes(root .. "/docs/names.md"),
                "docs/names.md is old: perilune scripts/names.lua > docs/names.md")
end

-- Their bytes are Cairo's, which differ from version to version.
function docs.test_the_pictures_are_drawn()
  local folder = program.folder()
  runs("@perilune docs/pictures.lua '%s'", folder)
  for _, name in ipairs {"floors", "step"} do
    lu.assertStrContains(program.bytes(("%s/%s.svg"):format(folder, name)), "</svg>")
  end
  program.remove(folder)
end

function docs.test_links_lead_somewhere()
  local broken, count = links.check(root)
  lu.assertEquals(broken, {})
  lu.assertTrue(count > 20, count)
end

function docs.test_broken_links_are_found()
  local folder = program.folder()
  local file = assert(io.open(folder .. "/a.md", "w"))
  file:write("# One, two\n\n[a](a.md#one-two) [b](b.md) [c](#three) `[d](d.md)` <https://e.org>\n")
  file:close()
  local broken, count = links.check(folder)
  program.remove(folder)
  lu.assertEquals(broken, {"a.md: b.md: there is no such file",
                           "a.md: #three: there is no such heading"})
  lu.assertEquals(count, 3)
end

function docs.test_the_changes_are_those_of_this_version()
  lu.assertEquals(program.bytes(root .. "/CHANGELOG.md"):match "\n## (%S+)", pl.version)
end

-- What it prints is what stands below it, but for what rounding does.
function docs.test_the_first_script_runs()
  local readme, folder = program.bytes(root .. "/README.md"), program.folder()
  local script, printed = readme:match "```lua\n(.-)```.-sin%.lua\n(.-)```"
  local file <close> = assert(io.open(folder .. "/sin.lua", "w"))
  file:write((script:gsub("sin%.png", folder .. "/%0")))
  file:close()
  local next_line = runs("@perilune '%s/sin.lua'", folder):gmatch "[^\n]+"
  lu.assertEquals(program.bytes(folder .. "/sin.png"):sub(2, 4), "PNG")
  program.remove(folder)
  for step, loss in printed:gmatch "(%d+)\t(%S+)\n" do
    local its_step, its_loss = next_line():match "^(%d+)\t(%S+)$"
    lu.assertEquals(its_step, step)
    lu.assertAlmostEquals(math.log(its_loss / loss), 0, 1)
  end
  lu.assertNil(next_line())
end

function docs.test_the_book_runs()
  local count = 0
  for name in runs("ls docs/book"):gmatch "([^\n]+)%.md" do
    local page, folder = book.parts(program.bytes(("%s/docs/book/%s.md"):format(root, name))), program.folder()
    page.files["script.lua"] = book.script(page)
    for file_name, text in pairs(page.files) do
      local file <close> = assert(io.open(folder .. "/" .. file_name, "w"))
      file:write(text)
    end
    runs("cp tests/torch/*.safetensors '%s'", folder) -- what Python wrote
    local output = runs("p=$(realpath @perilune) && cd '%s' && \"$p\" script.lua", folder)
    program.remove(folder)
    lu.assertEquals(book.differences(page, output), {}, name)
    count = count + #page.blocks
  end
  lu.assertTrue(count > 5, count)
end

function docs.test_wrong_output_is_found()
  local page = book.parts "a\n\n```lua\nprint(1)\n```\n\n```\n2\n```\n"
  lu.assertEquals(book.script(page), "print(1)\nprint \"--- end of block\"\n")
  lu.assertEquals(book.differences(page, "1\n--- end of block\n"), {{1, "2\n", "1\n"}})
  lu.assertEquals(book.differences(page, "2\n--- end of block\n"), {})
  lu.assertEquals(book.differences(page, "2\n"), {{1, "an end", "2\n"}})
end

function docs.test_the_gallery_runs()
  local folder = program.folder()
  runs("cp docs/gallery.lua '%s' && @perilune '%s/gallery.lua'", folder, folder)
  local png = program.bytes(folder .. "/gallery.png")
  program.remove(folder)
  lu.assertEquals(png:sub(2, 4), "PNG")
  lu.assertTrue(#png > 100000, #png)
end

function docs.test_the_images_run()
  local folder = program.folder()
  runs("cp docs/images.lua '%s' && @perilune '%s/images.lua'", folder, folder)
  local png = program.bytes(folder .. "/images.png")
  program.remove(folder)
  lu.assertEquals(png:sub(2, 4), "PNG")
  lu.assertTrue(#png > 30000, #png)
end

function bench.test_run()
  lu.assertStrContains(runs "@perilune bench/run.lua --seconds 0 lenet lstm vae",
                       "steps/s")
end

function bench.test_ops()
  lu.assertStrContains(runs "@perilune bench/ops.lua --seconds 0 add sum", "\nsum ")
end

function bench.test_calls()
  lu.assertStrContains(runs "@perilune bench/calls.lua --seconds 0", "pl.add(a, b)")
end

function bench.test_fit()
  local output = runs "@perilune bench/fit.lua --seconds 0"
  for _, name in ipairs {"BLOCK_COST", "WINOGRAD_IMAGE_COST", "FLAT_MAX"} do
    lu.assertStrContains(output, name)
  end
end

function bench.test_svm()
  local output = runs("@perilune bench/svm.lua --labels 30 --rows 50 --unlabelled 100 "
    .. "--features 10 --data synthetic")
  lu.assertStrContains(output, "30 labelled and 100 unlabelled examples")
end

function bench.test_loading()
  local folder = program.folder()
  runs("mkdir -p '%s/a' && cp bench/scaling.png '%s/a/1.png' && cp bench/scaling.png '%s/a/2.png'",
    folder, folder, folder)
  local output = runs("@perilune bench/loading.lua '%s' 1", folder)
  program.remove(folder)
  lu.assertStrMatches(output, "%d+\n")
end

function bench.test_scaling()
  local folder = program.folder()
  runs("@perilune bench/scaling.lua '%s' --seconds 0 --most 10", folder)
  local csv = program.bytes(folder .. "/scaling.csv")
  program.remove(folder)
  lu.assertStrContains(csv, "LSTM, steps,10,")
end

function bench.test_report()
  local folder = program.folder()
  local lines = {}
  for _, name in ipairs {"gemm", "memory", "start", "lenet"} do
    for _, who in ipairs {"peer", "kept", "ours", "one"} do
      for round = 1, 3 do
        lines[#lines + 1] = ("%s %s %d %d 50 0.5\n"):format(name, who, round, 100 + round)
      end
    end
  end
  local file = assert(io.open(folder .. "/times", "w"))
  file:write(table.concat(lines))
  file:close()
  local output = runs("@perilune bench/report.lua '%s/times' '%s' lenet", folder, folder)
  local png = program.bytes(folder .. "/compare.png")
  program.remove(folder)
  lu.assertStrContains(output, "1.00 [1.00, 1.00]")
  lu.assertEquals(png:sub(2, 4), "PNG")
end

function bench.test_pure()
  lu.assertStrMatches(runs "@perilune bench/pure.lua 0.01", "lua +[%d.]+ steps/s +%d+ samples/s\n")
end

-- The scripts of bench/ are all started above; workloads.lua is a part of run.lua.
function bench.test_no_script_is_forgotten()
  for name in runs("ls bench"):gmatch "(%w+)%.lua" do
    lu.assertNotNil(name == "workloads" or bench["test_" .. name], name)
  end
end

local runner = lu.LuaUnit.new()
runner:setOutputType "text"
runner:runSuiteByInstances {{"docs", docs}, {"bench", bench}}
local r = runner.result
local failed = r.failureCount + r.errorCount
print(("%d passed, %d failed"):format(r.successCount, failed))
os.exit(failed == 0 and 0 or 1, true)
