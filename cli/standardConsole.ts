import { createInterface } from 'node:readline/promises';
import type { Console } from './output.js';

/** Back to the start of the line, and clear it. */
const CLEAR_LINE = '\r\u001b[2K';

/** The terminal of this process, or the pipes in its place. */
export function standardConsole(): Console {
  let isShowing = false;
  const clear = (): void => {
    if (!isShowing) return;
    process.stderr.write(CLEAR_LINE);
    isShowing = false;
  };
  return {
    out: (text) => {
      clear();
      process.stdout.write(`${text}\n`);
    },
    error: (text) => {
      clear();
      process.stderr.write(`${text}\n`);
    },
    ...(process.stderr.isTTY
      ? {
          show: (text: string): void => {
            // Longer than the line it would wrap, and clearing would leave its first part.
            process.stderr.write(`${CLEAR_LINE}${text.slice(0, (process.stderr.columns || 80) - 1)}`);
            isShowing = text !== '';
          },
        }
      : {}),
    ...(process.stdin.isTTY ? { ask } : {}),
  };
}

async function ask(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await terminal.question(question);
  } finally {
    terminal.close();
  }
}
