import type { CompiledStream, CompiledView } from '../features/compiledView.js';
import type { CompiledModel } from './definition.js';

/** What one repository of definitions describes, compiled. A project module exports it as `project`. */
export interface Project {
  readonly kind: 'project';
  /** Default project id; TIDEMILL_PROJECT_ID overrides it. */
  readonly id: string;
  readonly streams: readonly CompiledStream[];
  readonly views: readonly CompiledView[];
  readonly models: readonly CompiledModel[];
}
