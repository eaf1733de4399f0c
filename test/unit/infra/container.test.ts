import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { WORKER_FLAGS } from '../../../infra/workerFlags.js';
import { readCompose, readDockerfile, type ComposeService } from '../../support/composeFile.js';
import { TOPOLOGY_NAMES } from '../../../workers/topologies.js';

const folder = join('infra', 'container');

describe('the compose file', () => {
  let services: Map<string, ComposeService>;
  beforeAll(async () => {
    services = await readCompose(join(folder, 'compose.yaml'));
  });
  const ours = (): [string, ComposeService][] => [...services].filter(([, { image }]) => image === 'tidemill');
  const inProfile = (profile: string): [string, ComposeService][] =>
    ours().filter(([, { profiles }]) => profiles?.includes(profile));
  const topologiesOf = ({ command }: ComposeService): string[] =>
    command?.[command.indexOf('--topologies') + 1]?.split(',') ?? [];

  test('runs each topology as a service of its own, or all of them in one', () => {
    const separate = inProfile('separate').filter(([name]) => name !== 'initialise' && name !== 'lifecycle');
    expect(separate.map(([name, service]) => [name, topologiesOf(service)])).toEqual(
      TOPOLOGY_NAMES.map((name) => [name, [name]]),
    );
    expect(topologiesOf(services.get('stream') as ComposeService)).toEqual([...TOPOLOGY_NAMES]);
    for (const profile of ['separate', 'together'])
      expect(inProfile(profile).map(([name]) => name)).toEqual(expect.arrayContaining(['initialise', 'lifecycle']));
  });

  test('checks the health of everything that stays, and waits for it', () => {
    for (const [name, { healthcheck, restart }] of services) {
      if (name === 'topics' || name === 'initialise') continue;
      expect([name, healthcheck?.test?.[0]]).toEqual([name, 'CMD']);
      if (services.get(name)?.image === 'tidemill') expect(restart).toBe('unless-stopped');
    }
    for (const [, { depends_on: needed = {} }] of services) {
      for (const [name, { condition }] of Object.entries(needed)) {
        const isJob = name === 'topics' || name === 'initialise';
        expect(services.has(name)).toBe(true);
        expect(condition).toBe(isJob ? 'service_completed_successfully' : 'service_healthy');
      }
    }
  });

  test('starts programs that there are, and sets variables that the code reads', async () => {
    const read = new Set<string>();
    for (const place of ['contracts', 'infra', 'workers']) {
      for (const file of await readdir(place, { recursive: true })) {
        if (!file.endsWith('.ts')) continue;
        for (const [name] of (await readFile(join(place, file), 'utf8')).matchAll(/\bTIDEMILL_\w+/g)) read.add(name);
      }
    }
    for (const [, { command, environment = {}, stop_grace_period: grace }] of ours()) {
      const at = command?.findIndex((word) => word.startsWith('dist/')) ?? -1;
      const program = command?.[at]?.replace(/^dist\//, '').replace(/\.js$/, '.ts') ?? '';
      expect([program, existsSync(program)]).toEqual([program, true]);
      expect(command?.slice(0, at)).toEqual(program === 'workers/stream.ts' ? WORKER_FLAGS : []);
      for (const name of Object.keys(environment)) expect(read).toContain(name);
      expect(grace).toBe('30s');
    }
  });
});

describe('the Dockerfile', () => {
  test('copies what there is, runs as nobody special, and checks its health by a program that there is', async () => {
    const instructions = await readDockerfile(join(folder, 'Dockerfile'));
    const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));
    for (const { text } of instructions.filter(({ name, text: to }) => name === 'COPY' && !to.startsWith('--from'))) {
      for (const source of text.split(' ').slice(0, -1)) expect([source, existsSync(source)]).toEqual([source, true]);
    }
    const textOf = (name: string): string | undefined => last.find((each) => each.name === name)?.text;
    expect(textOf('USER')).toBe('node');
    expect(textOf('ENTRYPOINT')).toBe('["node"]');
    expect(textOf('HEALTHCHECK')).toContain('dist/workers/health.js');
    expect(existsSync('workers/health.ts')).toBe(true);
    const ignored = (await readFile(join(folder, 'Dockerfile.dockerignore'), 'utf8')).split('\n');
    expect(ignored).toEqual(expect.arrayContaining(['node_modules', '.tidemill', '.git']));
  });
});
