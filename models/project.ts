import { TidemillError } from '../contracts/errors.js';
import type { CompiledStream, CompiledView } from '../features/compiledView.js';
import { checkName, definitionError } from '../features/authoring/names.js';
import type { Windows } from '../features/authoring/windows.js';
import type { CompiledWindows } from '../features/compiledWindows.js';
import { deepFreeze } from '../features/hash.js';
import type { Model } from './authoring.js';
import type { CompiledModel } from './definition.js';

/** What one repository of definitions describes, compiled. A project module exports it as `project`. */
export interface Project {
  readonly kind: 'project';
  /** Default project id; TIDEMILL_PROJECT_ID overrides it. */
  readonly id: string;
  readonly streams: readonly CompiledStream[];
  readonly views: readonly CompiledView[];
  readonly models: readonly CompiledModel[];
  /** Windows over streams, each of which is a topology of its own. */
  readonly windows: readonly CompiledWindows[];
}

/** What a project consists of; streams and views come with what reads them. */
export interface ProjectDefinitions {
  /** @default [] */
  readonly models?: readonly Model[];
  /** @default [] */
  readonly windows?: readonly Windows[];
}

/**
 * Collects the models and windows of a project with all that they read.
 *
 * @throws TidemillError DEFINITION_INVALID where two definitions share a name, or two windows an output topic.
 */
export function defineProject(id: string, definitions: ProjectDefinitions): Project {
  checkName('project', id);
  const models = (definitions.models ?? []).map(({ compiled }) => compiled);
  const windows = (definitions.windows ?? []).map(({ compiled }) => compiled);
  const views = models.flatMap(({ service }) =>
    service.inputs.flatMap((input) => (input.kind === 'view' ? [input.view] : [])),
  );
  const streams = [
    ...models.flatMap(({ request, label }) => [request, label.stream]),
    ...views.map(({ stream }) => stream),
    ...windows.map(({ stream }) => stream),
  ];
  for (const { name, to } of windows) {
    const other = windows.find((each) => each.to === to && each.name !== name);
    if (other !== undefined) throw definitionError(`${id}.${name}.to`, `${other.name} writes to the topic ${to}, too`);
  }
  return deepFreeze({
    kind: 'project',
    id,
    streams: distinct(id, 'stream', streams),
    views: distinct(id, 'view', views),
    models: distinct(id, 'model', models),
    windows: distinct(id, 'definition of window', windows),
  });
}

/** Definitions once each; the same name for two different definitions is an error. */
function distinct<T extends { readonly name: string; readonly hash: string }>(
  id: string,
  what: string,
  all: readonly T[],
): T[] {
  const byName = new Map<string, T>();
  for (const definition of all) {
    const known = byName.get(definition.name);
    if (known !== undefined && known.hash !== definition.hash) {
      throw definitionError(`${id}.${definition.name}`, `two different ${what}s have this name`);
    }
    byName.set(definition.name, definition);
  }
  return [...byName.values()];
}

/**
 * The project that a loaded module exports as `project`.
 *
 * @throws TidemillError PROJECT_NOT_FOUND
 */
export function projectFrom(module: unknown, path: string): Project {
  const project = (module as { project?: unknown } | null)?.project as Partial<Project> | undefined;
  if (project === undefined || project === null || project.kind !== 'project') {
    throw new TidemillError('PROJECT_NOT_FOUND', `${path} does not export \`project\` made by defineProject()`, {
      path,
    });
  }
  return project as Project;
}

/** @throws TidemillError DEFINITION_INVALID where the project has no such model. */
export function modelOf(project: Project, name: string): CompiledModel {
  const found = project.models.find((candidate) => candidate.name === name);
  if (found !== undefined) return found;
  throw definitionError(
    `${project.id}.models`,
    `there is no model ${JSON.stringify(name)}; there are ${project.models.map((each) => each.name).join(', ')}`,
  );
}

/** @throws TidemillError DEFINITION_INVALID where the project has no such windows. */
export function windowsOf(project: Project, name: string): CompiledWindows {
  const found = project.windows.find((candidate) => candidate.name === name);
  if (found !== undefined) return found;
  throw definitionError(
    `${project.id}.windows`,
    `there are no windows ${JSON.stringify(name)}; there are ${project.windows.map((each) => each.name).join(', ') || 'none'}`,
  );
}

/** @throws TidemillError DEFINITION_INVALID where no model of the project reads such a view. */
export function viewOf(project: Project, name: string): CompiledView {
  const found = project.views.find((candidate) => candidate.name === name);
  if (found !== undefined) return found;
  throw definitionError(
    `${project.id}.views`,
    `there is no view ${JSON.stringify(name)}; there are ${project.views.map((each) => each.name).join(', ')}`,
  );
}

/** Every stream that a project reads, once. */
export function streamsOf({ models, windows, views }: Project): CompiledStream[] {
  const streams = [
    ...models.flatMap(({ request, label, service }) => [
      request,
      label.stream,
      ...service.inputs.flatMap((input) => (input.kind === 'view' ? [input.view.stream] : [])),
    ]),
    ...views.map(({ stream }) => stream),
    ...windows.map(({ stream }) => stream),
  ];
  return [...new Map(streams.map((stream) => [stream.name, stream])).values()];
}
