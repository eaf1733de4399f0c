/**
 * What must happen at once in Redis. Every key of a view carries the view's hash tag, so a script stays on one node of a
 * cluster. KEYS[1] is always the view's serving generation; a writer of an earlier one gets {'retired', serving}.
 *
 * An entry is a hash: field `h` is its head `OFFSET|PARTITION|WRITER`, every other field a chunk by the time it starts at.
 */
const REFUSE_RETIRED = `
local serving = tonumber(redis.call('GET', KEYS[1]) or '')
local generation = tonumber(ARGV[1])
if serving and serving > generation then return {'retired', serving} end
`;

/**
 * KEYS: serving, one entry each. ARGV: generation, writer, partition, then for each entry: offset, base or '', number of
 * dropped chunks, their starts, number of chunks, start and bytes of each. Gives one outcome an entry.
 */
export const WRITE_SCRIPT = `${REFUSE_RETIRED}
local writer, partition = ARGV[2], ARGV[3]
local outcomes = {}
local at = 4
for index = 2, #KEYS do
  local key = KEYS[index]
  local offset, base = ARGV[at], ARGV[at + 1]
  local dropped = tonumber(ARGV[at + 2])
  local firstDropped = at + 3
  local chunks = tonumber(ARGV[firstDropped + dropped])
  local firstChunk = firstDropped + dropped + 1
  at = firstChunk + 2 * chunks
  local head = redis.call('HGET', key, 'h')
  local stored, by
  if head then stored, by = string.match(head, '^(%d+)|%d+|(.*)$') end
  if stored and tonumber(stored) > tonumber(offset) then
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
      redis.call('HSET', key, 'h', offset .. '|' .. partition .. '|' .. writer)
    end
    outcomes[#outcomes + 1] = 'written'
  end
end
return outcomes
`;

/** KEYS: serving, marks. ARGV: generation, partition, offset, after or '', mark as JSON. Gives one outcome. */
export const MARK_SCRIPT = `${REFUSE_RETIRED}
local text = redis.call('HGET', KEYS[2], ARGV[2])
local stored = text and cjson.decode(text).offset
if stored and stored > tonumber(ARGV[3]) then return {'stale'} end
if ARGV[4] ~= '' and (not stored or stored < tonumber(ARGV[4])) then return {'lost'} end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[5])
return {'marked'}
`;

/**
 * KEYS: serving, marks, ready partitions, marks of the generation that the caller found serving. ARGV: generation,
 * partition, number of partitions, the generation found serving or ''. Gives {'serving'}, {'behind'}, {'switched'}, or
 * {'moved'} where another one serves by now.
 */
export const SERVE_SCRIPT = `${REFUSE_RETIRED}
if serving == generation then return {'serving'} end
if (serving or '') ~= (tonumber(ARGV[4]) or '') then return {'moved'} end
local own = redis.call('HGET', KEYS[2], ARGV[2])
local theirs = serving and redis.call('HGET', KEYS[4], ARGV[2])
if own and cjson.decode(own).offset >= (theirs and cjson.decode(theirs).offset or 0) then
  redis.call('SADD', KEYS[3], ARGV[2])
end
if redis.call('SCARD', KEYS[3]) < tonumber(ARGV[3]) then return {'behind'} end
redis.call('SET', KEYS[1], ARGV[1])
return {'switched'}
`;
