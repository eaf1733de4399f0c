/**
 * Kafka's default partitioner for keyed records: murmur2 of the key's bytes, sign bit cleared, modulo the partitions.
 * Upstream tasks use it to address hop topics, so that co-partitioned topics meet in one task.
 */
export function partitionOf(key: Buffer | string, partitions: number): number {
  const bytes = typeof key === 'string' ? Buffer.from(key, 'utf8') : key;
  return (murmur2(bytes) & 0x7fff_ffff) % partitions;
}

/** MurmurHash2, 32 bits, seed 0x9747b28c, as Kafka's Java client computes it. */
export function murmur2(bytes: Buffer): number {
  const m = 0x5bd1_e995;
  let h = 0x9747_b28c ^ bytes.length;
  const whole = bytes.length & ~3;
  for (let at = 0; at < whole; at += 4) {
    let k = bytes.readInt32LE(at);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    k = Math.imul(k, m);
    h = Math.imul(h, m) ^ k;
  }
  const rest = bytes.length - whole;
  if (rest === 3) h ^= (bytes[whole + 2] as number) << 16;
  if (rest >= 2) h ^= (bytes[whole + 1] as number) << 8;
  if (rest >= 1) h = Math.imul(h ^ (bytes[whole] as number), m);
  h ^= h >>> 13;
  h = Math.imul(h, m);
  return h ^ (h >>> 15);
}
