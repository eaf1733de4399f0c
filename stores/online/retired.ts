import { TidemillError } from '../../contracts/errors.js';
import type { OnlineWriter, ViewIdentity } from './onlineStore.js';

/** The refusal of a writer whose generation was replaced. */
export function retired(view: ViewIdentity, { generation }: OnlineWriter, serving: number): TidemillError {
  return new TidemillError(
    'ONLINE_GENERATION_RETIRED',
    `generation ${generation} of view ${view.name} writes where generation ${serving} serves`,
    { view: view.name, generation, serving },
  );
}
