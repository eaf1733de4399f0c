/**
 * Names of everything that lives in Kafka. Project and generation stand in every internal name, so that two projects,
 * or two generations of one topology, never share a topic, a group or a transactional id.
 */

/** Topic of a user's event stream: `PROJECT.STREAM`. */
export function streamTopic(project: string, stream: string): string {
  return `${project}.${stream}`;
}

/** Identity of one running copy of a topology. `name` is `score.fraud`, `outcome.fraud`, `archive`, … */
export interface TopologyIdentity {
  readonly project: string;
  readonly name: string;
  readonly generation: number;
}

/** Prefix of group ids, transactional ids, internal topics and snapshot folders: `PROJECT.score.fraud.g1`. */
export function topologyPrefix({ project, name, generation }: TopologyIdentity): string {
  return `${project}.${name}.g${generation}`;
}

/**
 * What `topologyPrefix` was made of.
 *
 * @returns null where the text names no topology of the project.
 */
export function topologyOf(project: string, prefix: string): TopologyIdentity | null {
  if (!prefix.startsWith(`${project}.`)) return null;
  const [, name, generation] = /^(.+)\.g(\d+)$/.exec(prefix.slice(project.length + 1)) ?? [];
  return name === undefined ? null : { project, name, generation: Number(generation) };
}

/** Consumer group of a topology. */
export function groupId(identity: TopologyIdentity): string {
  return topologyPrefix(identity);
}

/** Transactional id of one task: one per task, so that a successor fences its predecessor. */
export function transactionalId(identity: TopologyIdentity, task: string): string {
  return `${topologyPrefix(identity)}.${task}`;
}

/** Internal topic between the tasks of a topology; one that repartitions is named after the entity whose tasks read it. */
export function hopTopic(identity: TopologyIdentity, entity: string): string {
  return `${topologyPrefix(identity)}.hop.${entity}`;
}

/** Internal compacted topic in which the tasks that read the source say how far they are. */
export function progressTopic(identity: TopologyIdentity): string {
  return `${topologyPrefix(identity)}.progress`;
}

export function predictionsTopic(project: string, model: string): string {
  return `${project}.${model}.predictions`;
}
export function cutsTopic(project: string, model: string): string {
  return `${project}.${model}.cuts`;
}
export function outcomesTopic(project: string, model: string): string {
  return `${project}.${model}.outcomes`;
}
/** Reports on how the versions of a model do, by bucket of event time. */
export function reportsTopic(project: string, model: string): string {
  return `${project}.${model}.reports`;
}
export function driftTopic(project: string): string {
  return `${project}.drift`;
}
/** Compacted topic with the head deployment of each model, keyed by model. */
export function deploymentsTopic(project: string): string {
  return `${project}.deployments`;
}
/** Where records go that can never be processed. */
export function deadLetterTopic(project: string): string {
  return `${project}.dead-letters`;
}
/** Compacted topic with what was decided about dead letters, by their ids. */
export function deadLetterDecisionsTopic(project: string): string {
  return `${project}.dead-letter-decisions`;
}
export function lateTopic(project: string): string {
  return `${project}.late`;
}
export function duplicatesTopic(project: string): string {
  return `${project}.duplicates`;
}
/** Events of a view that are missing in the online store, to be inserted later; keyed as the view's stream is. */
export function correctionsTopic(project: string, view: string): string {
  return `${project}.${view}.corrections`;
}
/** Transactional id of who writes the corrections of one partition: a later writer fences an earlier one. */
export function correctionsWriter(project: string, view: string, partition: number): string {
  return `${project}.${view}.corrections.${partition}`;
}
/** Manifests of archived files. */
export function archiveTopic(project: string): string {
  return `${project}.archive`;
}
