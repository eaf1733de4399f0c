import { writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Configuration } from '../../../contracts/configuration.js';

type Places = Pick<Configuration, 'project' | 'projectModule' | 'kafkaBrokers' | 'temporalAddress' | 'home'>;

/**
 * Writes down for a shell where the demo is, and says how to ask the command line about it.
 *
 * @returns `look around: . FOLDER/environment && npx tidemill models show fraud`
 */
export async function lookAround(places: Places, model: string): Promise<string> {
  const file = join(places.home, 'environment');
  await writeFile(file, environmentText(places));
  return `look around: . ${shellWord(`./${relative('.', file)}`)} && npx tidemill models show ${model}`;
}

/** What to source: every setting that the commands of the command line need. */
export function environmentText({ project, projectModule, kafkaBrokers, temporalAddress, home }: Places): string {
  const settings = {
    TIDEMILL_HOME: home,
    TIDEMILL_KAFKA: kafkaBrokers.join(','),
    TIDEMILL_TEMPORAL: temporalAddress,
    TIDEMILL_PROJECT: projectModule,
    TIDEMILL_PROJECT_ID: project,
  };
  return Object.entries(settings)
    .map(([name, value]) => `export ${name}=${shellWord(value)}\n`)
    .join('');
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
