import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** A model on the streams of the fraud project, small enough for tests of what is declared about it. */
export interface DeclaredModel {
  readonly name: string;
  /** More options of the model, as JavaScript: `schedule: { every: '7d' }`. */
  readonly options?: string;
}

/** Writes a compiled project module on top of the built package, as the command line loads it. */
export async function writeProjectModule(
  file: string,
  project: { readonly id: string; readonly models: readonly DeclaredModel[] },
): Promise<string> {
  const built = (...path: string[]): string => JSON.stringify(pathToFileURL(join(process.cwd(), 'dist', ...path)).href);
  const models = project.models.map(
    ({ name, options }) => `  model(${JSON.stringify(name)}, {
    task: 'binary',
    on: transactions,
    label: labels.field('fraud'),
    labelDelay: '7d',
    entity: 'customer',
    inputs: [moment],
    train: logistic(),
    split: { train: '7d', test: '7d' },
    gates: { absolute: [atLeast('auc', 0.8)], refresh: [notWorse('auc', { margin: 0.02 })], drift: [superior('auc')] },
    drift: { season: '7d', quiet: '1d', budget: '3 per 7d', freshPositives: 100 },
    decide: ({ score }) => rules().block(score.gt(0.9)).otherwise('allow'),
    fallback: ({ amount }) => rules().score(amount.gt(220).if(0.9, 0.01)),
    ${options ?? ''}
  }),`,
  );
  await writeFile(
    file,
    `import { atLeast, defineProject, errors, logistic, model, notWorse, rules, superior } from ${built('index.js')};
import { customerSpending, labels, moment, transactions } from ${built('examples', 'fraud', 'project.js')};
export const project = defineProject(${JSON.stringify(project.id)}, { models: [
${models.join('\n')}
] });
`,
  );
  return file;
}
