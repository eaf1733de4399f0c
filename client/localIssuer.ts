import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exportPKCS8, exportSPKI, generateKeyPair, importPKCS8, SignJWT } from 'jose';
import {
  APPROVAL_KEY_FILE,
  APPROVAL_PUBLIC_FILE,
  APPROVAL_TTL_S,
  approvalAudience,
  APPROVER_ROLE,
  LOCAL_ISSUER,
  type ApprovalBinding,
} from '../contracts/approval.js';
import { TidemillError } from '../contracts/errors.js';

/** What is signed for whom. */
export interface ApprovalToSign {
  /** Project id. */
  readonly project: string;
  /** Who answers. Whoever can read the key can name anybody: it is for one person's machine. */
  readonly subject: string;
  /** @default 'approver' */
  readonly role?: string;
  readonly binding: ApprovalBinding;
  /** Wall clock, ms. @default Date.now() */
  readonly nowMs?: number;
}

/**
 * Makes the key with which this machine signs approvals, an Ed25519 pair below the home: the private part for its owner's
 * eyes only (mode 0600), the public part for the lifecycle worker. A key that is there stays.
 *
 * @param home folder of local state, `TIDEMILL_HOME`.
 */
export async function createLocalIssuer(
  home: string,
): Promise<{ readonly created: boolean; readonly keyFile: string; readonly publicFile: string }> {
  const keyFile = join(home, APPROVAL_KEY_FILE);
  const publicFile = join(home, APPROVAL_PUBLIC_FILE);
  const files = { keyFile, publicFile };
  if ((await readKey(home)) !== null) return { created: false, ...files };
  const { privateKey, publicKey } = await generateKeyPair('EdDSA', { extractable: true });
  await mkdir(dirname(keyFile), { recursive: true });
  // The public part last: where it is, there is a key to sign with.
  await writeFile(keyFile, await exportPKCS8(privateKey), { mode: 0o600, flag: 'wx' });
  await writeFile(publicFile, await exportSPKI(publicKey), { mode: 0o644 });
  return { created: true, ...files };
}

/**
 * Signs an approval with this machine's key; it is good for ten minutes, once.
 *
 * @throws TidemillError APPROVAL_KEY_MISSING
 */
export async function signApproval(home: string, approval: ApprovalToSign): Promise<string> {
  const key = await readKey(home);
  if (key === null) {
    const file = join(home, APPROVAL_KEY_FILE);
    throw new TidemillError('APPROVAL_KEY_MISSING', `there is no ${file}`, { file });
  }
  const issuedAt = Math.floor((approval.nowMs ?? Date.now()) / 1_000);
  return new SignJWT({ ...approval.binding, role: approval.role ?? APPROVER_ROLE })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'JWT' })
    .setIssuer(LOCAL_ISSUER)
    .setAudience(approvalAudience(approval.project))
    .setSubject(approval.subject)
    .setJti(randomUUID())
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + APPROVAL_TTL_S)
    .sign(await importPKCS8(key, 'EdDSA'));
}

async function readKey(home: string): Promise<string | null> {
  return readFile(join(home, APPROVAL_KEY_FILE), 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  });
}
