import { projectWith } from './project.js';

/** The same, with a training that lasts long enough to be killed in, with a checkpoint every 25 rounds. */
export const project = projectWith({ trees: { rounds: 600, maxDepth: 6 } });
