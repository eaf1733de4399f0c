/** Tests of a project's streams without any server. */
export { testStreams, type StreamTestDriver } from './testStreams.js';
export { exploreInterleavings, type Exploration, type ExplorationReport } from './exploreInterleavings.js';
export { events, rawEvents, type Batch, type EventOf, type FieldValue, type Sent } from './inputs.js';
export type { InputStream } from './inputStream.js';
export type { SendOptions, TestStreamsOptions } from './options.js';
export type { TestedTopology } from './topologies.js';
export type { Answer, DeadLetter, Prediction } from './outputs.js';
export type { Answering, Deploying, Features, ModelVersions, ScoreFunction } from './scorers.js';
export type { Faults } from './faults.js';
export type { FaultKind } from './faultDice.js';
export type { FaultPlace, LogCall } from './simulation/faults.js';
export type { Interleaving, InterleavingReport } from './interleave.js';
export type { InvariantReport } from './invariants/checkInvariants.js';
export type { LiveTask, SimulationEvent } from './simulation/simulation.js';
export { seededRandom, type SeededRandom } from './simulation/random.js';
