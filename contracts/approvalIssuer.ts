import { APPROVER_ROLE } from './approval.js';
import { homeFrom } from './configuration.js';
import { TidemillError } from './errors.js';

/** An identity provider whose tokens approve. */
export interface OidcIssuer {
  /** `iss` of its tokens. TIDEMILL_OIDC_ISSUER. */
  readonly issuer: string;
  /** `aud` of its tokens. TIDEMILL_OIDC_AUDIENCE. */
  readonly audience: string;
  /** Where its keys are; found by discovery where it is null. TIDEMILL_OIDC_JWKS. */
  readonly jwks: string | null;
  /** Claim that holds a role or a list of roles; `realm_access.roles` reaches into an object. TIDEMILL_OIDC_ROLE_CLAIM, `role` by default. */
  readonly roleClaim: string;
}

/** Whose signatures approve in this process. */
export interface ApprovalIssuers {
  /** Folder in which a key of this machine may be: used where no provider is set. */
  readonly home: string;
  readonly oidc: OidcIssuer | null;
  /** The role that may answer. TIDEMILL_APPROVER_ROLE, `approver` by default. */
  readonly role: string;
}

/**
 * @throws TidemillError CONFIGURATION_INVALID naming the variable that is missing or wrong.
 */
export function approvalIssuersFrom(env: Readonly<Record<string, string | undefined>>): ApprovalIssuers {
  const value = (name: string): string | null => (env[name] ?? '') || null;
  const issuer = value('TIDEMILL_OIDC_ISSUER');
  return {
    home: homeFrom(env),
    oidc:
      issuer === null
        ? null
        : {
            issuer: url('TIDEMILL_OIDC_ISSUER', issuer),
            audience: required('TIDEMILL_OIDC_AUDIENCE', value('TIDEMILL_OIDC_AUDIENCE')),
            jwks: optionalUrl('TIDEMILL_OIDC_JWKS', value('TIDEMILL_OIDC_JWKS')),
            roleClaim: value('TIDEMILL_OIDC_ROLE_CLAIM') ?? 'role',
          },
    role: value('TIDEMILL_APPROVER_ROLE') ?? APPROVER_ROLE,
  };
}

function required(variable: string, text: string | null): string {
  if (text !== null) return text;
  // A token made for anybody else would approve, too.
  throw new TidemillError('CONFIGURATION_INVALID', `${variable} is needed beside TIDEMILL_OIDC_ISSUER`, { variable });
}

function optionalUrl(variable: string, text: string | null): string | null {
  return text === null ? null : url(variable, text);
}

function url(variable: string, text: string): string {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text;
  throw new TidemillError('CONFIGURATION_INVALID', `${variable} is not a URL: ${text}`, { variable });
}
