--- The pages of the book: each is one script, whose blocks print what stands below them.
--
--     ```text houses.csv      a file that the script finds
--     ```lua                  a block of the script
--     ```                     directly behind a block: what it prints

local book = {}

--- Takes a page apart.
-- @param text of the page
-- @return table: `files`, texts by name, and `blocks`, a list of {code = , output = }; a block
--   without output may print anything
function book.parts(text)
  local files, blocks, last = {}, {}, nil
  for before, info, body in text:gmatch "(.-)\n```([^\n]*)\n(.-)```" do
    local name = info:match "^text (%S+)$"
    if name then
      files[name] = body
    elseif info == "lua" then
      last = {code = body}
      blocks[#blocks + 1] = last
    elseif info == "" and last and not before:find "%S" then
      last.output = body
    end
  end
  return {files = files, blocks = blocks}
end

local MARK <const> = "--- end of block"

--- The script of a page, which says where the output of a block ends.
-- @param page table of `parts`
-- @return string
function book.script(page)
  local list = {}
  for i, block in ipairs(page.blocks) do list[i] = block.code .. ("print %q\n"):format(MARK) end
  return table.concat(list)
end

--- Compares what a script printed with the page.
-- @param page table of `parts`
-- @param output string
-- @return list of {block's number, expected, printed} of those that differ
function book.differences(page, output)
  local list, i = {}, 0
  for printed in output:gmatch("(.-)" .. MARK:gsub("%-", "%%-") .. "\n") do
    i = i + 1
    local want = page.blocks[i].output
    if want and want ~= printed then list[#list + 1] = {i, want, printed} end
  end
  if i < #page.blocks then list[#list + 1] = {i + 1, "an end", output} end
  return list
end

return book
