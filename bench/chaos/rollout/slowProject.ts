import { projectWith } from './project.js';

/** The same, with a training of some ten seconds and a checkpoint every 25 rounds. */
export const project = projectWith({ trees: { rounds: 1_500, maxDepth: 8 } });
