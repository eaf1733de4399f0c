import type { CompiledWindows } from '../../../features/compiledWindows.js';
import type { Project } from '../../../models/project.js';

/**
 * Do these windows set aside the broken, late and repeated records of their stream? Each record ends once: a score topology
 * does it for the streams of its model; of several windows over another stream those whose name comes first.
 */
export function setsAside({ models, windows }: Project, { name, stream }: CompiledWindows): boolean {
  const isRead = models.some(({ request, label, service }) =>
    [request, label.stream, ...service.inputs.map(({ view }) => view.stream)].some((each) => each.name === stream.name),
  );
  return !isRead && !windows.some((other) => other.stream.name === stream.name && other.name < name);
}
