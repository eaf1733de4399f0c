import type { VerdictReport } from './modelReport.js';
import type { ApprovalRequest } from './rollout.js';

/** How people approve: plain types and constants. */

/** Claims of a signed approval, besides the registered ones (`iss`, `aud`, `sub`, `jti`, `iat`, `exp`). */
export interface ApprovalBinding {
  readonly model: string;
  readonly version: number;
  /** Of the version's artifact. */
  readonly sha256: string;
  /** Hash of the evidence that was shown. */
  readonly evidence: string;
  /** The rollout's. */
  readonly token: number;
  readonly action: ApprovalAction;
}
export type ApprovalAction = 'approve' | 'reject';

/** Answer with a signed token: who gives it is the token's `sub`. */
export interface SignedAnswer {
  readonly token: string;
  readonly reason?: string;
}

/** Answer where no issuer is set up: the version and the evidence as they were shown, and a name that nobody checks. */
export interface UnsignedAnswer {
  readonly by: string;
  readonly version: number;
  readonly evidence: string;
  readonly reason?: string;
}

/** Input of the updates `approve` and `reject`. */
export type ApprovalAnswer = SignedAnswer | UnsignedAnswer;

/** A token is good for so long after it was issued. Enough to read the evidence once more, too short to be kept. */
export const APPROVAL_TTL_S = 600;

/** `iss` of tokens that this machine's own key signs. */
export const LOCAL_ISSUER = 'tidemill-local';

/** The role that may approve and reject, unless TIDEMILL_APPROVER_ROLE names another. */
export const APPROVER_ROLE = 'approver';

/** Files of the local issuer, below the home. */
export const APPROVAL_KEY_FILE = 'approval/issuer.key';
export const APPROVAL_PUBLIC_FILE = 'approval/issuer.pub';

/** `aud` of local tokens: one of another project is not good here. */
export function approvalAudience(project: string): string {
  return `tidemill/${project}`;
}

/** What waits for an approval, as it is shown to whoever gives it. */
export interface ApprovalReport {
  readonly model: string;
  /** Null where nothing waits. */
  readonly waiting: {
    readonly request: ApprovalRequest;
    readonly trigger: string;
    /** Workflow that waits. */
    readonly holder: string;
    /** What serves now. */
    readonly champion: number | null;
    readonly metrics: Readonly<Record<string, number>>;
    readonly verdicts: readonly VerdictReport[];
    /** Hash of all evidence as it is stored now: equal to the request's, or something has changed. */
    readonly evidence: string;
  } | null;
  /** Must an answer be signed, and by whom? */
  readonly issuer: 'none' | 'local' | 'oidc';
}

/** What a signed answer to a request says. */
export function bindingOf(request: ApprovalRequest, action: ApprovalAction): ApprovalBinding {
  const { model, version, sha256, evidence, token } = request;
  return { model, version, sha256, evidence, token, action };
}
