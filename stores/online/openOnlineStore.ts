import { describeOnlineAddress, type OnlineAddress } from '../../contracts/onlineAddress.js';
import { openLmdbOnlineStore } from './lmdbOnlineStore.js';
import type { OnlineStore } from './onlineStore.js';
import { openRedisOnlineStore } from './redisOnlineStore.js';

/**
 * The online store that a configuration names.
 *
 * @throws TidemillError ONLINE_UNAVAILABLE where a folder cannot be opened; a server is waited for by the first command.
 */
export function openOnlineStore(address: OnlineAddress): OnlineStore {
  return address.kind === 'redis'
    ? openRedisOnlineStore({ url: address.url, place: describeOnlineAddress(address) })
    : openLmdbOnlineStore({ folder: address.folder });
}
