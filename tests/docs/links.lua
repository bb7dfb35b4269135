--- Links of the Markdown files: whether the files and the headings that they name are there.

local links = {}

local function text_of(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function exists(path)
  local file <close> = io.open(path)
  return file ~= nil
end

-- The Markdown files below a folder, builds and runs left out.
local function documents(root)
  local list = {}
  local pipe <close> = assert(io.popen(("cd '%s' && find . -name '*.md' -not -path './build*' "
    .. "-not -path './runs/*' -not -path './subprojects/*/*' | sort"):format(root)))
  for line in pipe:lines() do list[#list + 1] = line:sub(3) end
  return list
end

-- Without what is code, where nothing is a link.
local function without_code(text)
  text = ("\n" .. text):gsub("\n```.-\n```", "\n"):gsub("`[^`\n]*`", "")
  return text
end

-- The name that a heading has in a link, as the sites that show Markdown make it.
local function anchor(heading)
  heading = heading:gsub("`", ""):gsub("%[(.-)%]%b()", "%1")
  return (heading:lower():gsub("[^%w%s_\x80-\xff-]", ""):gsub("%s", "-"))
end

local function anchors(path)
  local set, again = {}, {}
  local text = ("\n" .. text_of(path)):gsub("\n```.-\n```", "\n")
  for heading in text:gmatch "\n#+ +([^\n]+)" do
    local name = anchor(heading)
    if set[name] then
      again[name] = (again[name] or 0) + 1
      name = name .. "-" .. again[name]
    end
    set[name] = true
  end
  return set
end

-- What is wrong with a link, or nil.
local function fault(root, document, target)
  local path, name = target:match "^([^#]*)#?(.*)$"
  local folder = document:match "^(.*/)" or ""
  path = path == "" and document or folder .. path
  if not exists(root .. "/" .. path) then return "there is no such file" end
  if name ~= "" and not anchors(root .. "/" .. path)[name] then return "there is no such heading" end
end

--- Looks at the links of all documents.
-- @param root the folder that they are in
-- @return list of texts about links that lead nowhere
-- @return how many links there are
function links.check(root)
  local broken, count = {}, 0
  for _, document in ipairs(documents(root)) do
    for target in without_code(text_of(root .. "/" .. document)):gmatch "%]%(([^%s()]+)[^()]*%)" do
      local problem = not target:find "^%a+:" and fault(root, document, target)
      count = count + 1
      if problem then broken[#broken + 1] = ("%s: %s: %s"):format(document, target, problem) end
    end
  end
  return broken, count
end

return links
