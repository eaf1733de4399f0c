/** Immutable objects addressed by content: artifacts, datasets, checkpoints. A port; a folder on disk is its first adapter. */
export interface ObjectStore {
  /**
   * Stores bytes under `prefix/SHA256.EXTENSION`, atomically; storing the same bytes again is no error.
   * @throws TidemillError DISK_FULL; nothing is left of it then
   */
  put(prefix: string, extension: string, bytes: Uint8Array): Promise<StoredObject>;
  /** Moves a finished local file in, without reading it into memory at once. */
  putFile(prefix: string, extension: string, path: string): Promise<StoredObject>;
  /**
   * Reads an object and checks it.
   * @throws TidemillError OBJECT_NOT_FOUND, OBJECT_CORRUPT (sha256 differs), OBJECT_OUTSIDE_ROOT
   */
  get(uri: string, sha256: string): Promise<Buffer>;
  /** A local path to an object, checked like `get`, for engines that read files. */
  localPath(uri: string, sha256: string): Promise<string>;
  /** Objects of a prefix, those aside left out, in the order of their addresses; what an interrupted writer left, too. */
  list(prefix: string): Promise<readonly ListedObject[]>;
  /** Deletes an object at once, for those whose only reader is their writer. Nothing where it is not there. */
  remove(uri: string): Promise<void>;
}

export interface ListedObject {
  readonly uri: string;
  readonly bytes: number;
  /** When it was last stored, or set aside: ms, by the clock of the store. */
  readonly since: number;
}

export interface StoredObject {
  /** `objects://PREFIX/SHA256.EXTENSION`, relative to the store's root. */
  readonly uri: string;
  readonly sha256: string;
  readonly bytes: number;
}
