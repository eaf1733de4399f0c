import type { ListedObject, ObjectStore } from './objectStore.js';

/**
 * What it takes to do away with objects that nobody needs, without a moment at which one that is needed is not there: an
 * object is set aside first. Reading it brings it back, and storing it again makes it anew; only what lies aside is deleted.
 */
export interface ObjectUpkeep extends ObjectStore {
  /** Objects of a prefix that lie aside; `since` is when they were set aside. */
  listAside(prefix: string): Promise<readonly ListedObject[]>;
  /** Nothing where it is not there. */
  setAside(uri: string): Promise<void>;
  /** Nothing where it does not lie aside. */
  bringBack(uri: string): Promise<void>;
  /** Deletes an object that lies aside; one that was brought back in the meantime stays. */
  deleteAside(uri: string): Promise<void>;
}
