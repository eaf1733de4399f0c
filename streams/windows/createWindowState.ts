import { AlignedWindows } from './alignedWindows.js';
import { SessionWindows } from './sessionWindows.js';
import type { WindowState, WindowStateOptions } from './windowState.js';

/** The empty state of one task's windows. */
export function createWindowState(options: WindowStateOptions): WindowState {
  return options.windows.shape.kind === 'session' ? new SessionWindows(options) : new AlignedWindows(options);
}
