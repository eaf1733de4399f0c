import { execFile } from 'node:child_process';
import { access, constants, rename, rm, writeFile } from 'node:fs/promises';
import { isAbsolute, join, normalize } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { messageOf, TidemillError } from '../contracts/errors.js';
import { cacheFolder, fillCache } from './cache.js';
import { programOnPath, runCommand, type Progress } from './command.js';

/** Version of the Temporal CLI whose server the local runtime starts (server 1.29.1, UI and SQLite inside). */
export const TEMPORAL_CLI_VERSION = '1.5.1';

/** Where Temporal's SDKs get their development server from. */
const DOWNLOADS = 'https://temporal.download/cli/';
/** A program of about 40 MB; a connection slower than that had better build it. */
const DOWNLOAD_MS = 180_000;

/** Names of this machine in Temporal's downloads. */
const PLATFORMS: Readonly<Partial<Record<NodeJS.Platform, string>>> = { linux: 'linux', darwin: 'darwin' };
const ARCHITECTURES: Readonly<Partial<Record<NodeJS.Architecture, string>>> = { x64: 'amd64', arm64: 'arm64' };

/**
 * The Temporal CLI: TIDEMILL_TEMPORAL_CLI, else PATH, else the cache, filled by the download of Temporal's SDKs, else by
 * `go install` where Go is on PATH. A download is kept only if the program says that it is of the pinned version.
 *
 * @throws TidemillError RUNTIME_UNAVAILABLE naming three ways to supply it.
 */
export async function findTemporal(progress: Progress = () => undefined): Promise<string> {
  const present = await locateTemporal();
  if (present !== null) return present;
  const folder = cacheFolder(`temporal-${TEMPORAL_CLI_VERSION}`);
  const problems = await fillCache(
    folder,
    [download, buildWithGo].map((fill) => async (unfinished) => {
      const program = await fill(unfinished, progress);
      if (program !== programIn(unfinished)) await rename(program, programIn(unfinished));
    }),
    problemOf,
  );
  if (problems === null) return programIn(folder);
  throw new TidemillError(
    'RUNTIME_UNAVAILABLE',
    `Temporal cannot be had. Either set TIDEMILL_TEMPORAL to a frontend's host:port, or put the Temporal CLI on PATH ` +
      `(brew install temporal), or allow HTTPS to temporal.download or install Go, which builds it. Tried: ${problems.join('; ')}`,
    { service: 'temporal', problems },
  );
}

/** The same without fetching anything: null where it would have to be fetched or built. */
export async function locateTemporal(): Promise<string | null> {
  const given = process.env['TIDEMILL_TEMPORAL_CLI'];
  if (given !== undefined && given !== '') return given;
  const onPath = await programOnPath('temporal');
  if (onPath !== null) return onPath;
  const folder = cacheFolder(`temporal-${TEMPORAL_CLI_VERSION}`);
  return (await problemOf(folder)) === null ? programIn(folder) : null;
}

function programIn(folder: string): string {
  return join(folder, 'temporal');
}

function problemOf(folder: string): Promise<string | null> {
  return access(programIn(folder), constants.X_OK).then(() => null, messageOf);
}

/** Where the archive with the program is, as the SDKs' download service says it for a machine. */
export interface TemporalDownload {
  readonly archiveUrl: string;
  /** Path of the program in the archive. */
  readonly fileToExtract: string;
}

/** The question to the download service; an Error where it has nothing for such a machine. */
export function downloadQuestion(platform: NodeJS.Platform, arch: NodeJS.Architecture): string {
  const [os, machine] = [PLATFORMS[platform], ARCHITECTURES[arch]];
  if (os === undefined || machine === undefined) throw new Error(`there is no download for ${platform}-${arch}`);
  return `${DOWNLOADS}v${TEMPORAL_CLI_VERSION}?${new URLSearchParams({ arch: machine, platform: os, format: 'tar.gz' }).toString()}`;
}

/** Checks the service's answer: an archive over HTTPS, and a program inside of it. */
export function parseDownload(answer: unknown): TemporalDownload {
  const { archiveUrl, fileToExtract } = (typeof answer === 'object' && answer !== null ? answer : {}) as Record<
    string,
    unknown
  >;
  if (typeof archiveUrl !== 'string' || typeof fileToExtract !== 'string' || fileToExtract === '')
    throw new Error(`the answer names no archive: ${JSON.stringify(answer).slice(0, 200)}`);
  const url = URL.canParse(archiveUrl) ? new URL(archiveUrl) : null;
  if (url?.protocol !== 'https:' || !/\.(tar\.gz|tgz)$/.test(url.pathname))
    throw new Error(`${archiveUrl} is not a tar.gz over HTTPS`);
  // It becomes a path below the folder in which the archive is unpacked.
  if (isAbsolute(fileToExtract) || fileToExtract.startsWith('-') || normalize(fileToExtract).startsWith('..'))
    throw new Error(`${fileToExtract} lies outside of the archive`);
  return { archiveUrl, fileToExtract };
}

async function download(folder: string, progress: Progress): Promise<string> {
  const question = downloadQuestion(process.platform, process.arch);
  const tar = await programOnPath('tar');
  if (tar === null) throw new Error('tar, which unpacks the download, is not on PATH');
  progress(`downloading the Temporal CLI ${TEMPORAL_CLI_VERSION}`);
  const signal = AbortSignal.timeout(DOWNLOAD_MS);
  const { archiveUrl, fileToExtract } = parseDownload(await (await get(question, signal)).json());
  const archive = join(folder, 'archive.tar');
  const bytes = Buffer.from(await (await get(archiveUrl, signal)).arrayBuffer());
  await writeFile(archive, await promisify(gunzip)(bytes));
  await runCommand(tar, ['-xf', archive, '-C', folder, fileToExtract]);
  await rm(archive);
  const program = join(folder, fileToExtract);
  const { stdout } = await promisify(execFile)(program, ['--version'], { timeout: 30_000 });
  const [, version] = /version v?(\d+\.\d+\.\d+)/.exec(stdout) ?? [];
  if (version !== TEMPORAL_CLI_VERSION)
    throw new Error(`${archiveUrl} holds version ${version ?? 'unknown'} where ${TEMPORAL_CLI_VERSION} is expected`);
  return program;
}

async function get(url: string, signal: AbortSignal): Promise<Response> {
  const response = await fetch(url, { signal }).catch((error: unknown) => {
    // The reason is in the cause: "fetch failed" alone tells nothing.
    const { cause } = error as { cause?: unknown };
    throw new Error(`${url}: ${messageOf(error)}${cause instanceof Error ? ` (${cause.message})` : ''}`, {
      cause: error,
    });
  });
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}`);
  return response;
}

async function buildWithGo(folder: string, progress: Progress): Promise<string> {
  const go = await programOnPath('go');
  if (go === null) throw new Error('go is not on PATH');
  progress('building the Temporal CLI with Go (some minutes, once)');
  await runCommand(go, ['install', `github.com/temporalio/cli/cmd/temporal@v${TEMPORAL_CLI_VERSION}`], {
    env: { ...process.env, GOBIN: folder },
  });
  return join(folder, 'temporal');
}
