import { open, type RootDatabase } from 'lmdb';

/**
 * Reads snapshots through, for a worker that must not: LMDB takes what its file says for true, so that a damaged file may end
 * the process, corrupt its heap, or hold it in a loop. Gets folders by message, one at a time, and answers each: null, or what
 * is wrong. Where it dies, or says nothing any more, the folder is damaged.
 */
const ENTRIES_A_TURN = 5_000;

async function check(folder: string): Promise<string | null> {
  let database: RootDatabase<Buffer, Buffer> | null = null;
  try {
    database = open<Buffer, Buffer>({ path: folder, encoding: 'binary', keyEncoding: 'binary', noSubdir: false });
    let entries = 0;
    // Each step copies key and value out of the pages that hold them.
    for (const _entry of database.getRange({})) {
      if (++entries % ENTRIES_A_TURN !== 0) continue;
      process.send?.({ entries });
      await new Promise((resolve) => setImmediate(resolve));
    }
    // What a worker does first: it touches the pages of free space, too.
    const header = database.get(Buffer.from([0]));
    if (header !== undefined) await database.put(Buffer.from([0]), header);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await database?.close();
  }
}

process.on('message', (folder: string) => {
  void check(folder).then((problem) => process.send?.({ problem }));
});
process.on('disconnect', () => process.exit(0));
