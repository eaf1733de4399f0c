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
    action: 'Correct the definition at the path that the message names, or the name that was asked for.',
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
    action:
      'Set the environment variable that the message names, or pass the option in its place (`--help` shows it); ' +
      '`tidemill up` starts servers on this machine.',
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

  // Log
  LOG_UNAVAILABLE: {
    status: 503,
    exit: 5,
    summary: 'No Kafka broker answers at the configured addresses.',
    action:
      'Check TIDEMILL_KAFKA, whether its listener speaks TLS, and the broker; `tidemill up` starts one on this machine.',
  },
  LOG_AUTHENTICATION_FAILED: {
    status: 503,
    exit: 4,
    summary: 'The Kafka broker refused the user name or the password, or does not know the SASL mechanism.',
    action:
      'Check TIDEMILL_KAFKA_SASL, TIDEMILL_KAFKA_USERNAME and TIDEMILL_KAFKA_PASSWORD_FILE against the credentials that the broker has.',
  },
  LOG_TLS_FAILED: {
    status: 503,
    exit: 4,
    summary:
      'No TLS connection to the Kafka broker: its certificate is not trusted, or it speaks no TLS at this address.',
    action:
      "Name the file of the authority that signed the broker's certificate in TIDEMILL_KAFKA_CA_FILE, and an address of the certificate in TIDEMILL_KAFKA.",
  },
  LOG_NOT_ALLOWED: {
    status: 403,
    exit: 4,
    summary: "The Kafka broker's access rules forbid this user what Tidemill needs.",
    action: 'Grant what the message names: the guide to operations lists the rules that a worker needs.',
  },
  TOPIC_MISMATCH: {
    status: 409,
    exit: 1,
    summary: 'A topic has another number of partitions than the topology needs.',
    action: 'Use topics with equal numbers of partitions, or a new generation of the topology.',
  },
  TOPIC_REPLACED: {
    status: 409,
    exit: 1,
    summary: 'A topic was deleted and created anew, and the archive stands where the one before it ended.',
    action:
      'Run `tidemill stream reset archive --to earliest`: the new topic is archived from its start, and what is archived of the one before stays, apart from it.',
  },
  LOG_FORMAT_UNSUPPORTED: {
    status: 422,
    exit: 1,
    summary: 'A topic holds records in the format of a broker before Kafka 0.11.',
    action: 'Copy the topic with a current producer, or have its old segments expire, and read it again.',
  },
  RECORD_TOO_LARGE: {
    status: 413,
    exit: 1,
    summary: 'A record is larger than what its topic takes.',
    action:
      'Nothing is lost: it is written as soon as the topic takes it. Raise `max.message.bytes` of the topic that the message names, or `message.max.bytes` of the brokers.',
  },
  REPLAY_BEHIND: {
    status: 409,
    exit: 1,
    summary: 'A replayed generation of a topology cannot take over yet.',
    action: 'Let the workers finish what is in internal topics, stop them, and run `tidemill replay --switch` again.',
  },
  REPLAY_UNSUPPORTED: {
    status: 422,
    exit: 2,
    summary: 'The history of this topology is not run again by `tidemill replay`.',
    action: 'Do what the message names instead; the guide to replaying has it for each topology.',
  },
  OFFSET_LOST: {
    status: 410,
    exit: 1,
    summary: 'An offset that is needed is no longer retained in the log.',
    action:
      'Raise the retention of the topic, or archive it; where the lost records do not matter, `tidemill stream reset` goes on without them.',
  },
  OFFSET_AHEAD: {
    status: 409,
    exit: 1,
    summary:
      'A committed offset lies behind the end of its topic: the topic was deleted and created anew, or restored from an older copy.',
    action:
      'Nothing that the topic holds now has been processed as what it is: say where to go on with `tidemill stream reset --to`.',
  },
  PRODUCER_FENCED: {
    status: 409,
    exit: 1,
    summary: 'Another process took over the task; this one may not commit any more.',
    action: 'Nothing: the task is given up, or taken back where the group still assigns it here.',
  },
  PRODUCER_UNUSABLE: {
    status: 409,
    exit: 1,
    summary: 'What became of a transaction is unknown, and its producer cannot be used any more.',
    action: 'Nothing: the task opens a new producer and rebuilds its state from the log.',
  },

  // Stream runtime
  STREAM_NOT_FOUND: {
    status: 404,
    exit: 5,
    summary: 'A topic that a topology reads does not exist.',
    action: 'Create the topic, or correct the project id.',
  },
  GROUP_NOT_INITIALISED: {
    status: 409,
    exit: 1,
    summary: 'A new topology has not been told whether it starts at the start or at the end of its topics.',
    action: 'Run the topology once with --initialise start or --initialise end.',
  },
  OFFSETS_MISSING: {
    status: 409,
    exit: 1,
    summary:
      'A task has a snapshot but its group has no committed offset (offsets expire in groups that are idle too long).',
    action:
      'Say where to go on with `tidemill stream reset --to`: what was answered cannot be told from the log alone.',
  },
  TOPOLOGY_ACTIVE: {
    status: 409,
    exit: 1,
    summary: 'A topology cannot be reset while workers run it.',
    action: 'Stop the workers that the message names, and repeat the reset.',
  },
  SNAPSHOT_NOT_OWNED: {
    status: 409,
    exit: 1,
    summary: 'Another process took over the snapshots of a task.',
    action: 'Nothing: the task is given up, or rebuilt where the group still assigns it here.',
  },
  FOLD_FAILED: {
    status: 500,
    exit: 1,
    summary: 'A record made the computation of its features fail in an unforeseen way; it is in the dead-letter topic.',
    action: 'Report it with the record; replay it once the cause is removed.',
  },
  POISON_LIMIT_EXCEEDED: {
    status: 500,
    exit: 1,
    summary: 'Too large a share of the recent records of a task cannot be processed, so that it stopped.',
    action:
      'Look at `tidemill dlq list`; correct the producer or the contract and start the worker again, or raise TIDEMILL_POISON_SHARE (1 never stops) and replay later.',
  },
  DEAD_LETTER_NOT_FOUND: {
    status: 404,
    exit: 1,
    summary: 'There is no dead letter with this id.',
    action: 'List the open ones with `tidemill dlq list`.',
  },
  BLOCK_INVALID: {
    status: 500,
    exit: 1,
    summary: 'A record of an internal topic is torn or of another feature service.',
    action: 'Do not write to internal topics; give a changed feature service a new generation.',
  },
  TOPOLOGY_UNSUPPORTED: {
    status: 422,
    exit: 2,
    summary: 'A model reads a view that this version cannot compute on the stream.',
    action:
      'Key a view over another stream by the key of that stream; look a view over the requests up by the field that it is keyed by.',
  },

  // Models
  MODEL_INVALID: {
    status: 422,
    exit: 1,
    summary: 'A saved model is not one that can be exported or served.',
    action: 'Train it again with the current definition; external models must be ONNX without external data.',
  },
  MODEL_WIDTH_MISMATCH: {
    status: 422,
    exit: 1,
    summary: "A model file reads another number of columns than the model's feature service has.",
    action: 'Register a version that was trained on this feature service.',
  },
  SERVICE_UNREADABLE: {
    status: 422,
    exit: 1,
    summary: 'The feature service of a version is not stored, or holds what this build does not compute.',
    action: 'Run a build that knows the definition: the one that the version was trained with, or a newer one.',
  },
  MODEL_PARITY_FAILED: {
    status: 422,
    exit: 1,
    summary: 'The exported model does not predict what the trained one does.',
    action: 'Report it with the dataset manifest; the version was not registered.',
  },
  TRAINING_FAILED: {
    status: 500,
    exit: 1,
    summary: 'A training ended with an error of its library.',
    action: 'Read the message; the workflow retries from the last checkpoint where that can help.',
  },
  TRAINING_CANCELLED: {
    status: 409,
    exit: 1,
    summary: 'A training was cancelled.',
    action: 'Nothing: start it again when it is wanted.',
  },
  DATASET_HAS_NULLS: {
    status: 422,
    exit: 1,
    summary: 'A linear model was given nulls.',
    action: 'Give the feature a default with orElse, or train trees.',
  },
  OBJECT_NOT_FOUND: {
    status: 404,
    exit: 1,
    summary: 'A stored object is not there.',
    action: 'Check that TIDEMILL_HOME is the folder under which the object was stored.',
  },
  OBJECT_CORRUPT: {
    status: 500,
    exit: 1,
    summary: "A stored object's SHA-256 is not the one that it was registered with.",
    action: 'Restore the object from a backup; it was not used.',
  },
  DISK_FULL: {
    status: 507,
    exit: 5,
    summary: 'A disk has no room for what is to be written, or a quota or limit of the process forbids it.',
    action:
      'Make room under the folder that the message names, or raise its quota; `tidemill prune` removes objects that nobody needs. Then ask again: nothing was left half done.',
  },
  OBJECT_OUTSIDE_ROOT: {
    status: 403,
    exit: 4,
    summary: 'An address of an object points outside its store.',
    action: 'Use addresses as the store gives them.',
  },

  PLAN_UNREACHABLE: {
    status: 422,
    exit: 2,
    summary: "A phase of a model's rollout cannot gather its evidence within the time that the model gives it.",
    action:
      'Raise atMost of the phase that the message names, or ask for fewer requests or positives, or wider margins.',
  },

  // Online store
  ONLINE_UNAVAILABLE: {
    status: 503,
    exit: 5,
    summary: 'The online store does not answer.',
    action: 'Check TIDEMILL_REDIS and the server; what could not be written is kept and written when it answers again.',
  },
  ONLINE_GENERATION_RETIRED: {
    status: 409,
    exit: 1,
    summary: 'A writer of the online store is of an earlier generation than the one that serves.',
    action: 'Nothing by hand: this writer stops, and that of the generation that serves goes on.',
  },
  ONLINE_AHEAD: {
    status: 409,
    exit: 1,
    summary: 'The online store was written up to a later offset than the log has: by another log of the same names.',
    action: 'Point TIDEMILL_REDIS at the store of this log, or rebuild the view under a new generation.',
  },
  ONLINE_INCOMPLETE: {
    status: 503,
    exit: 5,
    summary: 'A view is not in the online store up to the place that it is compared at.',
    action: 'Run `tidemill stream run materialize`; when it has caught up, start the healing again.',
  },
  CORRECTIONS_WAITING: {
    status: 503,
    exit: 5,
    summary: 'Corrections are written, but no worker takes them into the online store.',
    action: 'Run `tidemill stream run materialize`: it takes them in. Healing again writes none of them twice.',
  },
  ONLINE_POSITION_FORGOTTEN: {
    status: 422,
    exit: 1,
    summary: 'Features are asked for at a time before which the online store has forgotten events.',
    action: 'Ask for a later time, or compute the features from the archive.',
  },

  // Registry
  REGISTRY_BUSY: {
    status: 503,
    exit: 5,
    summary: 'Another process held the lock of the registry for too long.',
    action: 'Look for a process that hangs inside a transaction; the change was not made and can be repeated.',
  },
  REGISTRY_UNAVAILABLE: {
    status: 503,
    exit: 5,
    summary: 'The PostgreSQL server of the registry does not answer, or does not let this process in.',
    action:
      'Check TIDEMILL_REGISTRY and the server; repeat the change, which is made once however often it is repeated.',
  },
  FENCED: {
    status: 409,
    exit: 1,
    summary: 'A rollout tried to change something after another one had taken its place.',
    action: 'Nothing: the newer rollout decides. Look at its journal.',
  },
  EPOCH_STALE: {
    status: 409,
    exit: 1,
    summary: 'A deployment changed between being read and being changed.',
    action: 'Read the deployment again and decide anew.',
  },
  VERSION_NOT_FOUND: {
    status: 404,
    exit: 1,
    summary: 'A model has no such version.',
    action: 'Look at the models and their versions with `tidemill models list`.',
  },
  PREDICTION_NOT_FOUND: {
    status: 404,
    exit: 1,
    summary: 'A model has no prediction for a request of this id, neither in the log nor in the archive.',
    action: 'Check the id, and the dead letters, the late and the duplicate records: a request may have ended there.',
  },
  VERSION_WITHDRAWN: {
    status: 409,
    exit: 1,
    summary: 'A version was rejected or withdrawn and may not serve again.',
    action: 'Train a new version; a withdrawn artifact is refused whatever its number.',
  },
  VERSION_IN_USE: {
    status: 409,
    exit: 1,
    summary: 'The champion cannot be rejected or withdrawn.',
    action: 'Roll back first; that withdraws the version which is left.',
  },

  // Workflows
  INPUT_INVALID: {
    status: 422,
    exit: 2,
    summary: "A workflow's input is not what it takes.",
    action: 'Correct the field that the message names; every field but `model` has a default.',
  },
  TEMPORAL_UNAVAILABLE: {
    status: 503,
    exit: 5,
    summary: 'The Temporal server does not answer.',
    action: 'Check TIDEMILL_TEMPORAL and the server; signals are repeated until they are taken.',
  },
  WORKFLOW_NOT_FOUND: {
    status: 404,
    exit: 1,
    summary: 'Temporal knows no workflow with this id.',
    action: 'Look the id up in the Temporal UI; it starts with the project id.',
  },
  WORKFLOW_FAILED: {
    status: 500,
    exit: 1,
    summary:
      'A workflow ended without a result: it was cancelled or terminated, or failed for a reason without a code.',
    action: 'Look at its history in the Temporal UI; the lifecycle recovers a rollout that ended so.',
  },
  WORKER_SILENT: {
    status: 504,
    exit: 6,
    summary: 'Temporal answers, but no lifecycle worker of the project took up the request in time.',
    action: 'Look whether the lifecycle worker runs, with the same project id; then ask again.',
  },
  INSTANCES_BEHIND: {
    status: 503,
    exit: 6,
    summary: 'Live instances did not follow a deployment in time, or said that they never will, or nobody is live.',
    action:
      'Start workers, or look at the problem that an instance reports; pass allowNoInstances to promote without any.',
  },
  ARCHIVE_INCOMPATIBLE: {
    status: 409,
    exit: 1,
    summary: 'An archived file was written by a contract that cannot be read as the contract of today.',
    action:
      'Make the field that the message names nullable, or give it its former type; or read an archive of its own.',
  },
  ARCHIVE_OVERLAP: {
    status: 409,
    exit: 1,
    summary:
      'Files of the archive have the same offsets and do not say the same, or one archive wrote an offset twice.',
    action:
      'Nothing was merged or removed. Look at what restored or wrote the files that are named; then have the topic archived anew with `tidemill stream reset archive --to earliest`.',
  },
  ARCHIVE_BEHIND: {
    status: 503,
    exit: 6,
    summary: 'The archive did not reach the offsets of a snapshot in time.',
    action: 'Start the archive topology, or look at why it does not proceed.',
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
  // Registry file
  REGISTRY_INCOMPATIBLE: {
    status: 500,
    exit: 5,
    summary: 'A newer program wrote the registry: its schema is not known to this one.',
    action: 'Run the version of Tidemill that wrote the file, or a later one.',
  },
  ROLLBACK_IMPOSSIBLE: {
    status: 409,
    exit: 3,
    summary: 'A model cannot go back: there is no former champion that may serve, or the named one may not.',
    action: 'Look at the versions and their states (`tidemill models show MODEL`), and name one with `to`; or retrain.',
  },
  APPROVAL_INVALID: {
    status: 409,
    exit: 3,
    summary:
      'An approval does not fit what waits for one: another version, other evidence, its own requester, a repeat, or a ' +
      'token that is not good for it.',
    action:
      'Look whether anything waits (`tidemill lifecycle MODEL`) and what (`tidemill approve MODEL`), and answer anew, as somebody who may.',
  },
  APPROVAL_KEY_MISSING: {
    status: 409,
    exit: 4,
    summary: 'There is no key with which this machine could sign an approval.',
    action:
      'Run `tidemill approval init` on a laptop; where an identity provider is set up, pass its token with --token.',
  },
  ISSUER_UNAVAILABLE: {
    status: 503,
    exit: 5,
    summary: 'The keys of the identity provider that signs approvals cannot be read.',
    action:
      'Look whether TIDEMILL_OIDC_ISSUER answers from the lifecycle worker, and answer again: the token is not used up.',
  },
  AUDIT_TOO_LARGE: {
    status: 422,
    exit: 1,
    summary: 'The sample of an audit rests on more events than are held in memory.',
    action: 'Ask for a smaller sample, or for a shorter range.',
  },
  INPUTS_CHANGED: {
    status: 409,
    exit: 3,
    summary: 'A version reads other features than those that the workers compute.',
    action: 'Deploy workers with the definition that the version was trained with, and start the rollout again.',
  },
  FEATURES_NOT_READY: {
    status: 503,
    exit: 6,
    summary: 'Live instances do not compute the views of a version, or no request shows that they do.',
    action: 'Look at the problem that an instance reports; send requests; then start the rollout again.',
  },
  FEATURES_DIFFER: {
    status: 422,
    exit: 3,
    summary: "An instance computed other features of a version than their definition says within the request's cut.",
    action: 'Report it with the request that the message names: the version must not be served.',
  },
  ROLLOUT_NOT_FOUND: {
    status: 404,
    exit: 1,
    summary: 'A model has no rollout with this token.',
    action: "List the model's rollouts.",
  },
  JOURNAL_INTENT_MISSING: {
    status: 409,
    exit: 1,
    summary: 'The result of a step was to be written, but not what the step intended.',
    action: 'Report it: a step writes its intent before its side effect.',
  },

  // The test driver
  TEST_STUCK: {
    status: 500,
    exit: 1,
    summary:
      'In a test without servers something is waited for that cannot happen any more, or goes on without an end.',
    action:
      'Look at what the message names: an instance that was crashed, stopped or paused and that nobody replaces, say.',
  },
  INVARIANT_BROKEN: {
    status: 500,
    exit: 1,
    summary:
      'A test without servers found a promise of the streams broken; the message says which, and how to see it again.',
    action: 'Repeat the run with the seed that the message names; without faults of its own in the project, report it.',
  },

  // Local runtime, its record and the command line
  RUNTIME_STOP_FAILED: {
    status: 500,
    exit: 1,
    summary: 'A server of the local runtime could not be stopped.',
    action: 'Stop the process that the message names as the user who started it; `tidemill down` can be repeated.',
  },
  RUNTIME_RECORD_INVALID: {
    status: 500,
    exit: 1,
    summary: 'The file that remembers the processes of the local runtime is damaged.',
    action: 'Remove the file; `tidemill up` adopts the servers that still run on the data beside it.',
  },
  PATH_UNUSABLE: {
    status: 500,
    exit: 2,
    summary: 'A file or folder is not what is needed there, or may not be read or written.',
    action:
      'Name another one (`--home`, or TIDEMILL_HOME, for that of local state), or give this user the right to it.',
  },
  USAGE_INVALID: {
    status: 400,
    exit: 2,
    summary: 'A command line has an unknown command or option, or an option with a value that it does not take.',
    action: 'Correct the command line; `--help` after a command shows what it takes.',
  },
} as const satisfies Record<string, ErrorDescription>;

export type ErrorCode = keyof typeof ERROR_CODES;
