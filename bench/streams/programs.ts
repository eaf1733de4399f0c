import { bytewax } from './peers/bytewax.js';
import { kafkaStreams, kafkaStreamsOnClose } from './peers/kafkaStreams.js';
import { quix } from './peers/quix.js';
import type { StreamProgram } from './streamProgram.js';
import { tidemill } from './tidemillProgram.js';

/** All that are compared, in the order of the tables. */
export const PROGRAMS: readonly StreamProgram[] = [tidemill, kafkaStreams, kafkaStreamsOnClose, quix, bytewax];
