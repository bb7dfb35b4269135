--- The bins of histograms (internal).
-- @module perilune.plot.bins

local bins = {}

local MOST <const> = 1000

local function finite(values)
  local list = {}
  for _, v in ipairs(values) do
    if v == v and v < math.huge and v > -math.huge then list[#list + 1] = v end
  end
  table.sort(list)
  return list
end

local function all_whole(sorted)
  for _, v in ipairs(sorted) do
    if v % 1 ~= 0 then return false end
  end
  return true
end

local function even_edges(low, width, n)
  local edges = {}
  for i = 0, n do edges[i + 1] = low + i * width end
  return edges
end

-- The width that Freedman and Diaconis advise, from the distance of the quartiles.
local function good_width(sorted)
  local n, range = #sorted, sorted[#sorted] - sorted[1]
  local quartiles = sorted[math.ceil(0.75 * n)] - sorted[math.ceil(0.25 * n)]
  local width = 2 * quartiles / n ^ (1 / 3)
  local most, least = range / 5, range / 60
  return math.min(math.max(width, least), most)
end

-- Edges at origin + k * width around all values, or nil if these were too many.
local function aligned(sorted, width, origin)
  local first = math.floor((sorted[1] - origin) / width)
  local last = math.floor((sorted[#sorted] - origin) / width) + 1
  if last - first > MOST then return nil end
  return even_edges(origin + first * width, width, last - first)
end

--- The edges of the bins for some values.
-- @param values list of numbers
-- @param wanted number of bins, a list of edges, or nil
-- @param width of the bins that the panel has already, or nil
-- @param origin an edge of those
-- @return list of edges, empty if there are no values
-- @return width and origin for the next histogram
function bins.edges(values, wanted, width, origin)
  if type(wanted) == "table" then return wanted, width, origin end
  local sorted = finite(values)
  if #sorted == 0 then return {}, width, origin end
  local low, high = sorted[1], sorted[#sorted]
  if width and not wanted then
    local edges = aligned(sorted, width, origin)
    if edges then return edges, width, origin end
  end
  if high - low <= 1e-9 * math.max(math.abs(low), math.abs(high)) then
    local half = low == 0 and 0.5 or math.max(math.abs(low) * 0.05, 1e-290)
    if low % 1 == 0 then half = 0.5 end
    return {low - half, low + half}, width, origin
  end
  if not wanted and all_whole(sorted) and high - low <= 40 then
    return even_edges(low - 0.5, 1, math.floor(high - low) + 1), 1, low - 0.5
  end
  local w = wanted and (high - low) / wanted or good_width(sorted)
  local n = wanted or math.ceil((high - low) / w - 1e-9)
  w = (high - low) / n
  return even_edges(low, w, n), w, low
end

--- Whether each bin stands for one whole number, which is in its middle.
function bins.are_whole(edges)
  for i = 2, #edges do
    if edges[i] - edges[i - 1] ~= 1 or edges[i] % 1 ~= 0.5 then return false end
  end
  return #edges > 1
end

-- The bin of a value; the last one holds its upper edge too.
local function bin_of(edges, value)
  local n = #edges - 1
  if not (value >= edges[1]) or value > edges[n + 1] * (1 + 1e-12) + 1e-300 then return nil end
  local low, high = 1, n + 1
  while high - low > 1 do
    local middle = (low + high) // 2
    if value >= edges[middle] then low = middle else high = middle end
  end
  return low
end

--- How many values each bin holds, or with `density` the density there.
function bins.count(values, edges, density)
  local counts, total = {}, 0
  for i = 1, #edges - 1 do counts[i] = 0 end
  for _, value in ipairs(values) do
    local bin = #edges > 1 and bin_of(edges, value)
    if bin then
      counts[bin] = counts[bin] + 1
      total = total + 1
    end
  end
  if density and total > 0 then
    for i = 1, #counts do counts[i] = counts[i] / (total * (edges[i + 1] - edges[i])) end
  end
  return counts
end

return bins
