/**
 * What must happen at once in Redis. Every key of a view carries the view's hash tag, so a script stays on one node of a
 * cluster. KEYS[1] is always the view's serving generation; a writer of an earlier one gets {'retired', serving}.
 *
 * An entry is a hash: field `h` is its head `OFFSET|PARTITION|WRITER|CORRECTIONS`, every other field a chunk by the time it
 * starts at. Heads of before corrections were told apart end with the writer.
 *
 * Of each writer that has written since its mark there is a field `PARTITION|WRITER` in one hash: how many entries that is.
 */
const REFUSE_RETIRED = `
local serving = tonumber(redis.call('GET', KEYS[1]) or '')
local generation = tonumber(ARGV[1])
if serving and serving > generation then return {'retired', serving} end
`;

/** Of the writer, whose entries since its mark must be there; `sequence` is the hash that says how many are. */
const HAS_WRITTEN = `
local function hasWritten(sequence, partition, writer, wanted)
  return wanted == 0 or tonumber(redis.call('HGET', sequence, partition .. '|' .. writer) or '-1') >= wanted
end
`;

/**
 * KEYS: serving, sequences, one entry each. ARGV: generation, writer, partition, entries that must be there, those that are by
 * the end of this call or '', then for each entry: offset, corrections, base or '', number of dropped chunks, their starts,
 * number of chunks, start and bytes of each. Gives one outcome an entry, or {'lost'}.
 */
export const WRITE_SCRIPT = `${REFUSE_RETIRED}${HAS_WRITTEN}
local writer, partition = ARGV[2], ARGV[3]
if not hasWritten(KEYS[2], partition, writer, tonumber(ARGV[4])) then return {'lost'} end
local outcomes = {}
local at = 6
for index = 3, #KEYS do
  local key = KEYS[index]
  local offset, corrections, base = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local dropped = tonumber(ARGV[at + 3])
  local firstDropped = at + 4
  local chunks = tonumber(ARGV[firstDropped + dropped])
  local firstChunk = firstDropped + dropped + 1
  at = firstChunk + 2 * chunks
  local head = redis.call('HGET', key, 'h')
  local stored, by, corrected
  if head then stored, by, corrected = string.match(head, '^(%d+)|%d+|([^|]*)|?(%d*)$') end
  local ahead = stored and tonumber(stored) - tonumber(offset) or -1
  if ahead > 0 or (ahead == 0 and (tonumber(corrected) or 0) > tonumber(corrections)) then
    outcomes[#outcomes + 1] = 'stale'
  elseif base ~= '' and (stored ~= base or by ~= writer) then
    outcomes[#outcomes + 1] = 'changed'
  else
    if base == '' then redis.call('DEL', key) end
    for drop = firstDropped, firstDropped + dropped - 1 do redis.call('HDEL', key, ARGV[drop]) end
    for chunk = 0, chunks - 1 do
      redis.call('HSET', key, ARGV[firstChunk + 2 * chunk], ARGV[firstChunk + 2 * chunk + 1])
    end
    local left = redis.call('HLEN', key)
    if left == 0 or (left == 1 and redis.call('HEXISTS', key, 'h') == 1) then
      redis.call('DEL', key)
    else
      redis.call('HSET', key, 'h', offset .. '|' .. partition .. '|' .. writer .. '|' .. corrections)
    end
    outcomes[#outcomes + 1] = 'written'
  end
end
if ARGV[5] ~= '' then redis.call('HSET', KEYS[2], partition .. '|' .. writer, ARGV[5]) end
return outcomes
`;

/**
 * KEYS: serving, marks, sequences. ARGV: generation, partition, offset, corrections, offset and corrections of `after` or '',
 * mark as JSON, writer, its entries that must be there. Gives one outcome.
 */
export const MARK_SCRIPT = `${REFUSE_RETIRED}${HAS_WRITTEN}
local text = redis.call('HGET', KEYS[2], ARGV[2])
local stored = text and cjson.decode(text)
local function compare(offset, corrections)
  if stored.offset ~= tonumber(offset) then return stored.offset - tonumber(offset) end
  return stored.corrections - tonumber(corrections)
end
if stored and compare(ARGV[3], ARGV[4]) > 0 then return {'stale'} end
if ARGV[5] ~= '' and (not stored or compare(ARGV[5], ARGV[6]) < 0) then return {'lost'} end
if not hasWritten(KEYS[3], ARGV[2], ARGV[8], tonumber(ARGV[9])) then return {'lost'} end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[7])
redis.call('HDEL', KEYS[3], ARGV[2] .. '|' .. ARGV[8])
return {'marked'}
`;

/**
 * KEYS: serving, marks, ready partitions, replaced generations, marks of the generation that the caller found serving. ARGV: generation,
 * partition, number of partitions, the generation found serving or ''. Gives {'serving'}, {'behind'}, {'switched'}, or
 * {'moved'} where another one serves by now.
 */
export const SERVE_SCRIPT = `${REFUSE_RETIRED}
if serving == generation then return {'serving'} end
if (serving or '') ~= (tonumber(ARGV[4]) or '') then return {'moved'} end
local own = redis.call('HGET', KEYS[2], ARGV[2])
local theirs = serving and redis.call('HGET', KEYS[5], ARGV[2])
if own and cjson.decode(own).offset >= (theirs and cjson.decode(theirs).offset or 0) then
  redis.call('SADD', KEYS[3], ARGV[2])
end
if redis.call('SCARD', KEYS[3]) < tonumber(ARGV[3]) then return {'behind'} end
redis.call('SET', KEYS[1], ARGV[1])
if serving then redis.call('SADD', KEYS[4], serving) end
return {'switched'}
`;
