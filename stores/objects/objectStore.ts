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
}

export interface StoredObject {
  /** `objects://PREFIX/SHA256.EXTENSION`, relative to the store's root. */
  readonly uri: string;
  readonly sha256: string;
  readonly bytes: number;
}
