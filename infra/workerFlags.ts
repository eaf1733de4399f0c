/**
 * Flags of Node.js for stream workers. Records live as long as a transaction: with the default of 16 MB they outlive the
 * young generation and are collected with the old one, which costs a worker at full speed about a tenth of its time.
 */
export const WORKER_FLAGS: readonly string[] = ['--max-semi-space-size=64'];
