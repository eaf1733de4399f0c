import { projectWith } from './project.js';

/** The same, promoted only by a person. */
export const project = projectWith({ approval: 'human' });
