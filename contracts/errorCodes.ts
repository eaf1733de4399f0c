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

  // State
  STATE_CORRUPT: {
    status: 500,
    exit: 1,
    summary: 'Encoded state cannot be read: torn, flipped bytes, or of another definition.',
    action: 'Nothing by hand: the snapshot is discarded and the state is rebuilt from the log.',
  },
  // Registry
  REGISTRY_BUSY: {
    status: 503,
    exit: 5,
    summary: 'Another writer held the registry through every attempt.',
    action: 'Repeat; where it stays so, find the process that keeps the database file of the message locked.',
  },
  REGISTRY_INCOMPATIBLE: {
    status: 500,
    exit: 5,
    summary: 'A newer program wrote the registry: its schema is not known to this one.',
    action: 'Run the version of Tidemill that wrote the file, or a later one.',
  },
  EPOCH_STALE: {
    status: 409,
    exit: 1,
    summary: 'The deployment changed since it was read.',
    action: 'Read the deployment again and decide anew.',
  },
  FENCED: {
    status: 409,
    exit: 4,
    summary: 'A rollout acted under a token that is closed or no longer the newest of its model.',
    action: 'Nothing: the rollout with the newer token decides; start another rollout where one is still wanted.',
  },
  ROLLOUT_UNKNOWN: {
    status: 404,
    exit: 1,
    summary: 'The model has no rollout with this token.',
    action: 'List the rollouts of the model and name one of them.',
  },
  JOURNAL_INTENT_MISSING: {
    status: 409,
    exit: 1,
    summary: 'The result of a step was to be written, but not what the step intended.',
    action: 'Report it: a step writes its intent before its side effect.',
  },
  VERSION_UNKNOWN: {
    status: 404,
    exit: 1,
    summary: 'The model has no version of this number.',
    action: 'List the versions of the model and name one of them.',
  },
  VERSION_SERVING: {
    status: 409,
    exit: 4,
    summary: 'The champion cannot be rejected or withdrawn while it serves.',
    action: 'Roll back or promote another version first.',
  },
  VERSION_UNSERVABLE: {
    status: 409,
    exit: 4,
    summary: 'A version or an artifact that was rejected or withdrawn cannot be put to use again.',
    action: 'Train and register another version, or name one that is neither rejected nor withdrawn.',
  },
} as const satisfies Record<string, ErrorDescription>;

export type ErrorCode = keyof typeof ERROR_CODES;
