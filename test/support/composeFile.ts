import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';

/** What the tests need of a service of the compose file. */
export interface ComposeService {
  readonly image: string;
  readonly profiles?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly stop_grace_period?: string;
  readonly restart?: string;
}

/** The services of a compose file, with its anchors merged and its variables at their defaults. */
export async function readCompose(file: string): Promise<Map<string, ComposeService>> {
  const text = (await readFile(file, 'utf8')).replace(/\$\{\w+:-([^}]*)\}/g, '$1').replaceAll('$$', '$');
  const { services } = parse(text, { merge: true }) as { services: Record<string, ComposeService> };
  return new Map(Object.entries(services));
}

/** Instructions of a Dockerfile with their arguments, continued lines joined. */
export async function readDockerfile(file: string): Promise<{ readonly name: string; readonly text: string }[]> {
  return (await readFile(file, 'utf8'))
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .flatMap((line) => {
      const match = /^([A-Z]+) (.+)$/.exec(line);
      return match === null ? [] : [{ name: match[1] as string, text: match[2] as string }];
    });
}
