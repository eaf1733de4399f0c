import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectFrom, type Project } from '../../models/project.js';

/**
 * Writes a compiled project module, as workers load it, and loads it: rides keyed by rider, whose features need all rides of
 * their driver, too.
 *
 * @param answer of the model, as JavaScript.
 */
export async function writeRidesModule(file: string, id: string, answer: string): Promise<Project> {
  const index = JSON.stringify(pathToFileURL(join(process.cwd(), 'dist', 'index.js')).href);
  await writeFile(
    file,
    `import { atLeast, count, defineProject, entity, eventStream, featureView, logistic, mean, model, notWorse,
  requestFeatures, rules, t } from ${index};
const rider = entity('rider', t.int());
const driver = entity('driver', t.int());
const options = { eventId: 'id', eventTime: 'at', allowedLateness: '10m' };
const rides = eventStream('rides', { ...options, key: 'rider',
  schema: { id: t.int(), at: t.timestamp(), rider: t.int(), driver: t.int(), fare: t.decimal(2) } });
const complaints = eventStream('complaints', { ...options, key: 'driver', labels: rides,
  schema: { id: t.int(), at: t.timestamp(), driver: t.int(), founded: t.bool() } });
const features = ({ fare }) => ({ rides: count().over('10m', '1h'), mean_fare: mean(fare).over('1h') });
const inputs = [
  requestFeatures(rides, ({ fare }) => ({ fare }), { name: 'fare' }),
  featureView('rider_rides', { entity: rider, from: rides, key: 'rider', include: 'request', features }),
  featureView('driver_rides', { entity: driver, from: rides, key: 'driver', include: 'request', features }),
];
export const project = defineProject(${JSON.stringify(id)}, { models: [model('refusal', {
  task: 'binary', on: rides, label: complaints.field('founded'), labelDelay: '1h', entity: 'rider', inputs,
  answer: ${answer}, train: logistic(), split: { train: '12h', test: '6h' },
  gates: { absolute: [atLeast('auc', 0.6)], refresh: [notWorse('average_precision', { margin: 0.5 })],
    drift: [notWorse('average_precision', { margin: 0.5 })] },
  drift: { season: '1d', quiet: '1h', budget: '100 per 1d', freshPositives: 50 },
  decide: ({ score }) => rules().review(score.gt(0.5)).otherwise('allow'),
  fallback: ({ fare }) => rules().score(fare.gt(200).if(0.8, 0.1)),
})] });
`,
  );
  return projectFrom(await import(pathToFileURL(file).href), file);
}
