import { execFileSync } from 'node:child_process';
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { findKafka, locateKafka } from '../../../infra/findKafka.js';
import { locatePostgres } from '../../../infra/findPostgres.js';
import { KAFKA_JARS } from '../../../infra/kafkaJars.js';
import {
  downloadQuestion,
  findTemporal,
  locateTemporal,
  parseDownload,
  TEMPORAL_CLI_VERSION,
} from '../../../infra/findTemporal.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-find-'));
  for (const name of ['KAFKA_HOME', 'TIDEMILL_TEMPORAL_CLI', 'TIDEMILL_POSTGRES']) vi.stubEnv(name, '');
  vi.stubEnv('TIDEMILL_CACHE', join(folder, 'cache'));
  vi.stubEnv('PATH', join(folder, 'bin'));
  await mkdir(join(folder, 'bin'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
  await rm(folder, { recursive: true });
});

async function program(name: string, script: string): Promise<string> {
  const path = join(folder, 'bin', name);
  await writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

/** The machine's tar: PATH is the test's own. */
async function realTar(): Promise<string> {
  const usual = '/usr/bin/tar';
  return access(usual).then(
    () => usual,
    () => '/bin/tar',
  );
}

async function distribution(version: string): Promise<string> {
  const home = join(folder, `kafka-${version}`);
  await mkdir(join(home, 'libs'), { recursive: true });
  await mkdir(join(home, 'bin'));
  await writeFile(join(home, 'libs', `kafka_2.13-${version}.jar`), '');
  await writeFile(join(home, 'bin', 'kafka-server-start.sh'), '', { mode: 0o755 });
  return home;
}

describe('the search for Kafka', () => {
  test('takes KAFKA_HOME, and says what is wrong with it where it cannot', async () => {
    const home = await distribution('4.0.0');
    vi.stubEnv('KAFKA_HOME', home);
    expect(await locateKafka()).toBe(join(home, 'libs'));
    vi.stubEnv('KAFKA_HOME', await distribution('3.5.1'));
    await expect(locateKafka()).rejects.toMatchObject({
      code: 'RUNTIME_UNAVAILABLE',
      message: expect.stringContaining('holds Kafka 3.5.1; 3.9 or newer is needed') as string,
    });
    vi.stubEnv('KAFKA_HOME', join(folder, 'nothing'));
    await expect(locateKafka()).rejects.toMatchObject({
      message: expect.stringMatching(/holds no .*Either .* or .* or /) as string,
    });
  });

  test('takes a distribution on PATH through a link, unless it is too old', async () => {
    const [old, recent] = [await distribution('3.8.0'), await distribution('3.9.1')];
    const link = join(folder, 'bin', 'kafka-server-start.sh');
    await symlink(join(old, 'bin', 'kafka-server-start.sh'), link);
    expect(await locateKafka()).toBeNull();
    await rm(link);
    await symlink(join(recent, 'bin', 'kafka-server-start.sh'), link);
    expect(await locateKafka()).toBe(join(recent, 'libs'));
  });

  test('trusts no cache whose jars are not the pinned ones, and keeps none of what it cannot trust', async () => {
    const cached = join(folder, 'cache', 'kafka-4.1.1');
    await mkdir(cached, { recursive: true });
    for (const [path] of KAFKA_JARS) await writeFile(join(cached, basename(path)), 'forged');
    expect(await locateKafka()).toBeNull();
    // Stands in for Maven with jars of other bytes; HTTPS does not answer.
    await program(
      'mvn',
      `/bin/mkdir jars\n${KAFKA_JARS.map(([path]) => `echo forged > jars/${basename(path)}`).join('\n')}`,
    );
    vi.stubGlobal('fetch', () => Promise.reject(new Error('no way out')));
    await expect(findKafka()).rejects.toMatchObject({
      code: 'RUNTIME_UNAVAILABLE',
      message: expect.stringMatching(/Either .* or .* or .*SHA-256 .* is expected; no way out/) as string,
    });
  });
});

describe('the search for the Temporal CLI', () => {
  test('takes the one that is named, then the one on PATH', async () => {
    const onPath = await program('temporal', '');
    expect(await locateTemporal()).toBe(onPath);
    vi.stubEnv('TIDEMILL_TEMPORAL_CLI', '/somewhere/temporal');
    expect(await locateTemporal()).toBe('/somewhere/temporal');
  });

  test('asks the download service for the pinned version, in the words of the machine', () => {
    expect(downloadQuestion('linux', 'x64')).toBe(
      `https://temporal.download/cli/v${TEMPORAL_CLI_VERSION}?arch=amd64&platform=linux&format=tar.gz`,
    );
    expect(downloadQuestion('darwin', 'arm64')).toContain('arch=arm64&platform=darwin');
    expect(() => downloadQuestion('linux', 'mips')).toThrow('there is no download for linux-mips');
  });

  test.each([
    ['no object', 'text', 'names no archive'],
    ['no file', { archiveUrl: 'https://a.example/t.tar.gz' }, 'names no archive'],
    [
      'no encryption',
      { archiveUrl: 'http://a.example/t.tar.gz', fileToExtract: 'temporal' },
      'not a tar.gz over HTTPS',
    ],
    [
      'another archive',
      { archiveUrl: 'https://a.example/t.zip', fileToExtract: 'temporal' },
      'not a tar.gz over HTTPS',
    ],
    ['no address', { archiveUrl: 't.tar.gz', fileToExtract: 'temporal' }, 'not a tar.gz over HTTPS'],
    ['a way out', { archiveUrl: 'https://a.example/t.tar.gz', fileToExtract: 'a/../../temporal' }, 'lies outside'],
    ['an option', { archiveUrl: 'https://a.example/t.tar.gz', fileToExtract: '--to-command=x' }, 'lies outside'],
  ])('trusts no answer of the service with %s', (_, answer, message) => {
    expect(() => parseDownload(answer)).toThrow(message);
  });

  /** Stands in for the download service with a program that says that it is of `version`. */
  async function serveDownload(version: string): Promise<void> {
    await symlink(await realTar(), join(folder, 'bin', 'tar'));
    const made = join(folder, 'made');
    await mkdir(made);
    await writeFile(join(made, 'temporal'), `#!/bin/sh\necho "temporal version ${version} (Server 1.29.1)"\n`, {
      mode: 0o755,
    });
    execFileSync(join(folder, 'bin', 'tar'), ['-cf', join(folder, 'made.tar'), '-C', made, 'temporal']);
    const archive = gzipSync(await readFile(join(folder, 'made.tar')));
    vi.stubGlobal('fetch', async (url: string) =>
      url.startsWith('https://temporal.download/')
        ? Response.json({ archiveUrl: 'https://archives.example/temporal.tar.gz', fileToExtract: 'temporal' })
        : new Response(archive),
    );
  }

  test('downloads it once', async () => {
    await serveDownload(TEMPORAL_CLI_VERSION);
    const said: string[] = [];
    const found = await findTemporal((text) => said.push(text));
    expect(found).toBe(join(folder, 'cache', `temporal-${TEMPORAL_CLI_VERSION}`, 'temporal'));
    expect(said).toHaveLength(1);
    vi.stubGlobal('fetch', () => Promise.reject(new Error('no way out')));
    expect(await findTemporal()).toBe(found);
    expect(await readdir(join(folder, 'cache'))).toEqual([`temporal-${TEMPORAL_CLI_VERSION}`]);
  });

  test('keeps no download of another version, and names three ways where none is left', async () => {
    await serveDownload('0.9.9');
    await expect(findTemporal()).rejects.toMatchObject({
      code: 'RUNTIME_UNAVAILABLE',
      message: expect.stringMatching(
        /Either .* or .* or .*holds version 0\.9\.9 where .* is expected; go is not on PATH/,
      ) as string,
    });
    expect(await locateTemporal()).toBeNull();
  });

  test('builds it once with Go where the download does not answer; a build that fails half-way leaves nothing behind', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new Error('no way out')));
    await symlink(await realTar(), join(folder, 'bin', 'tar'));
    await program('go', 'echo torn > "$GOBIN/temporal"; echo out of disk >&2; exit 1');
    await expect(findTemporal()).rejects.toMatchObject({
      code: 'RUNTIME_UNAVAILABLE',
      message: expect.stringMatching(/Either .* or .* or .*no way out.*out of disk/s) as string,
    });
    expect(await locateTemporal()).toBeNull();
    await program('go', 'echo "$@" > "$GOBIN/temporal"; /bin/chmod +x "$GOBIN/temporal"');
    const said: string[] = [];
    const built = await findTemporal((text) => said.push(text));
    expect(built).toBe(join(folder, 'cache', `temporal-${TEMPORAL_CLI_VERSION}`, 'temporal'));
    expect(said).toEqual([expect.stringContaining('downloading'), expect.stringContaining('building')]);
    await rm(join(folder, 'bin', 'go'));
    expect(await findTemporal()).toBe(built);
    await chmod(built, 0o644);
    expect(await locateTemporal()).toBeNull();
  });
});

describe('the search for PostgreSQL', () => {
  const serverPrograms = async (name: string): Promise<string> => {
    const bin = join(folder, name);
    await mkdir(bin, { recursive: true });
    for (const each of ['initdb', 'postgres']) await writeFile(join(bin, each), '', { mode: 0o755 });
    return bin;
  };

  test('takes the folder that is named, and says what is wrong with it where it cannot', async () => {
    const bin = await serverPrograms('given');
    vi.stubEnv('TIDEMILL_POSTGRES', bin);
    expect(await locatePostgres()).toBe(bin);
    await rm(join(bin, 'initdb'));
    await expect(locatePostgres()).rejects.toMatchObject({
      code: 'RUNTIME_UNAVAILABLE',
      message: expect.stringMatching(/where initdb and postgres are not\. Either .* or .* or /) as string,
    });
  });

  test('follows the link on PATH to the folder that has initdb too', async () => {
    const bin = await serverPrograms('postgresql-16/bin');
    await symlink(join(bin, 'postgres'), join(folder, 'bin', 'postgres'));
    expect(await locatePostgres()).toBe(bin);
  });
});
