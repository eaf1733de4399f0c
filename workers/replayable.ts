import { TidemillError } from '../contracts/errors.js';
import type { TopologyName } from './topologies.js';

/**
 * The one topology that is to be replayed. A replay writes what it tells to topics of its own, to be compared; the other topologies
 * tell nothing that could stand beside what was told, and have ways of their own to begin anew.
 *
 * @throws TidemillError USAGE_INVALID where there is not just one; REPLAY_UNSUPPORTED saying what to do instead
 */
export function replayableName(names: readonly TopologyName[]): TopologyName {
  const [name, ...others] = names;
  if (name === undefined || others.length > 0)
    throw new TidemillError('USAGE_INVALID', 'one topology is replayed at a time: score or window.NAME', {
      topology: names.join(','),
    });
  const instead = insteadOf(name);
  if (instead === null) return name;
  throw new TidemillError('REPLAY_UNSUPPORTED', `${name} is not replayed: ${instead}`, { topology: name });
}

/** Null for a topology that can be replayed. */
function insteadOf(name: TopologyName): string | null {
  switch (name) {
    case 'materialize':
      return 'tidemill features rebuild VIEW builds a generation of the online store beside the one that serves, and tidemill features heal VIEW --plan compares it with the log';
    case 'outcome':
    case 'monitor':
      return `tidemill stream reset ${name} --to earliest tells everything again in a new generation, whose word counts from then on`;
    case 'archive':
      return 'its files are copies of the log, and a replay of another topology reads them';
    case 'relay':
      return 'its signals have been acted upon';
    default:
      return null;
  }
}
