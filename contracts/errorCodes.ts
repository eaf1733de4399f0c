/** What is known about a code: what went wrong in general and what the operator should do. */
export interface ErrorDescription {
  /** HTTP status with which an API reports it. */
  readonly status: number;
  /** Exit code of the command line: 1 failed, 2 usage, 3 a comparison says no, 4 not allowed, 5 dependency down, 6 timeout. */
  readonly exit: 1 | 2 | 3 | 4 | 5 | 6;
  /** One sentence: what the code means. */
  readonly summary: string;
  /** One sentence: what the operator should do. */
  readonly action: string;
}

/**
 * The one registry of error codes. `docs/reference/errors.md` is written from it (`npm run docs:errors`), and a test
 * holds both together. Codes are stable: they are never renamed and never reused.
 */
export const ERROR_CODES = {
  // The feature language
  DEFINITION_INVALID: {
    status: 422,
    exit: 2,
    summary: 'A definition of the project does not type-check or contradicts itself.',
    action: 'Correct the definition at the path that the message names.',
  },
  NAME_INVALID: {
    status: 422,
    exit: 2,
    summary: 'A name is not lower-case letters, digits, hyphens and underscores starting with a letter (63 at most).',
    action: 'Rename the stream, view, entity, feature or model.',
  },
  PROJECT_NOT_FOUND: {
    status: 404,
    exit: 2,
    summary: 'The project module cannot be loaded or does not export a project.',
    action: 'Pass the path of a module that exports `project` made by defineProject().',
  },
  CONFIGURATION_INVALID: {
    status: 500,
    exit: 2,
    summary: 'A setting of the process is missing or not usable.',
    action: 'Set the environment variable that the message names.',
  },

  // Events
  EVENT_MALFORMED: {
    status: 400,
    exit: 1,
    summary: 'A record is not a JSON object.',
    action: 'Correct the producer; the original bytes are in the dead-letter topic and can be replayed.',
  },
  EVENT_FIELD_INVALID: {
    status: 400,
    exit: 1,
    summary: "A field of an event is missing or its value is not of the contract's type (NaN and infinities included).",
    action: 'Correct the producer; the original bytes are in the dead-letter topic and can be replayed.',
  },
  EVENT_INTEGER_UNSAFE: {
    status: 400,
    exit: 1,
    summary: 'An integer or scaled decimal lies beyond 2^53 - 1, where JSON numbers lose digits.',
    action: 'Send larger ids as strings and declare the field t.string().',
  },
  EVENT_TIME_IN_FUTURE: {
    status: 400,
    exit: 1,
    summary: "An event's time is further ahead of its log timestamp than the stream's maxFuture.",
    action: "Correct the producer's clock, or raise maxFuture in the stream's definition.",
  },
  EVENT_LATE: {
    status: 409,
    exit: 1,
    summary: 'An event is older than the watermark of its source partition.',
    action: 'Read it from the late topic; raise allowedLateness if such events should count.',
  },

  // Batch
  OFFLINE_TIES_OVERFLOW: {
    status: 422,
    exit: 1,
    summary: 'Too many events of one key share one time for the time range that was asked for.',
    action: 'Ask for a shorter range, or give the events distinct times.',
  },
  OFFLINE_FILE_INVALID: {
    status: 422,
    exit: 1,
    summary: 'A file of events or vectors is missing or has other columns than its stream or table.',
    action: 'Check the path; write the file again with the current definition of the stream.',
  },

  // State
  STATE_CORRUPT: {
    status: 500,
    exit: 1,
    summary: 'Encoded state cannot be read: torn, flipped bytes, or of another definition.',
    action: 'Nothing by hand: the snapshot is discarded and the state is rebuilt from the log.',
  },

  // Local runtime
  RUNTIME_UNAVAILABLE: {
    status: 503,
    exit: 5,
    summary: 'A server of the local runtime is not on this machine and cannot be fetched.',
    action: 'Supply it in one of the three ways that the message names.',
  },
  RUNTIME_PORT_TAKEN: {
    status: 503,
    exit: 5,
    summary: 'Another process listens on a port that the local runtime needs.',
    action: 'Stop that process, or pass another port (--kafka-port, --temporal-port, --temporal-ui-port).',
  },
  RUNTIME_START_FAILED: {
    status: 503,
    exit: 5,
    summary: 'A server of the local runtime ended or stayed silent while it started.',
    action: 'Read the end of its log in the message; `tidemill down --purge` removes damaged data.',
  },
} as const satisfies Record<string, ErrorDescription>;

export type ErrorCode = keyof typeof ERROR_CODES;
