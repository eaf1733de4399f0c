import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createRemoteJWKSet, errors, importSPKI, jwtVerify, type JWTPayload, type JWTVerifyOptions } from 'jose';
import { APPROVAL_PUBLIC_FILE, APPROVAL_TTL_S, approvalAudience, LOCAL_ISSUER } from '../../contracts/approval.js';
import type { ApprovalIssuers, OidcIssuer } from '../../contracts/approvalIssuer.js';
import { messageOf, TidemillError } from '../../contracts/errors.js';

/** What a good signature says. */
export interface VerifiedToken {
  /** Who answers. */
  readonly subject: string;
  readonly roles: readonly string[];
  /** Its id; of a token that has none, the hash of the token. */
  readonly jti: string;
  readonly issuer: string;
  readonly claims: JWTPayload;
}

/** Tells who signed, and nothing about what was signed. */
export interface ApprovalVerifier {
  /** The role that may answer. */
  readonly role: string;
  /** Is there an issuer whose tokens are asked for? */
  isNeeded(): Promise<boolean>;
  /** @throws TidemillError APPROVAL_INVALID, ISSUER_UNAVAILABLE */
  verify(token: string): Promise<VerifiedToken>;
}

/** Clocks of the issuer and of this machine may differ by so much. */
const CLOCK_TOLERANCE_S = 5;
/** Only signatures of key pairs: whoever can verify must not be able to sign. */
const OIDC_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const DISCOVERY_MS = 5_000;

/** Verifies the tokens of the identity provider where one is set, else those of this machine's own key. */
export function createApprovalVerifier(
  issuers: ApprovalIssuers,
  options: { readonly project: string; /** Wall clock, ms. @default Date.now */ readonly clock?: () => number },
): ApprovalVerifier {
  const { home, oidc, role } = issuers;
  const clock = options.clock ?? Date.now;
  const expected = (issuer: string, audience: string): JWTVerifyOptions => ({
    issuer,
    audience,
    requiredClaims: ['sub', 'iat', 'exp'],
    // However long the issuer makes them good for.
    maxTokenAge: APPROVAL_TTL_S,
    clockTolerance: CLOCK_TOLERANCE_S,
    currentDate: new Date(clock()),
  });
  const keys = oidc === null ? null : remoteKeys(oidc);
  const localKey = async (): Promise<string | null> =>
    readFile(join(home, APPROVAL_PUBLIC_FILE), 'utf8').catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    });
  return {
    role,
    isNeeded: async () => oidc !== null || (await localKey()) !== null,
    verify: async (token) => {
      try {
        if (oidc !== null && keys !== null) {
          const { payload } = await jwtVerify(token, await keys(), {
            ...expected(oidc.issuer, oidc.audience),
            algorithms: OIDC_ALGORITHMS,
          });
          return verified(payload, token, oidc.roleClaim);
        }
        // Read anew each time: a key that was replaced is not good any more.
        const key = await localKey();
        if (key === null) throw invalid('no issuer is set up that could have signed it');
        const { payload } = await jwtVerify(token, await importSPKI(key, 'EdDSA'), {
          ...expected(LOCAL_ISSUER, approvalAudience(options.project)),
          algorithms: ['EdDSA'],
        });
        return verified(payload, token, 'role');
      } catch (error) {
        throw refusalOf(error);
      }
    },
  };
}

function verified(claims: JWTPayload, token: string, roleClaim: string): VerifiedToken {
  return {
    subject: claims.sub ?? '',
    roles: rolesIn(claims, roleClaim),
    jti: claims.jti ?? createHash('sha256').update(token).digest('hex'),
    issuer: claims.iss ?? '',
    claims,
  };
}

/** A claim of this very name, which may be a URL; else a path into objects. */
function rolesIn(claims: JWTPayload, claim: string): readonly string[] {
  const found = claims[claim] ?? claim.split('.').reduce<unknown>((value, name) => memberOf(value, name), claims);
  const all: readonly unknown[] = Array.isArray(found) ? found : [found];
  return all.filter((each) => typeof each === 'string');
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

type RemoteKeys = ReturnType<typeof createRemoteJWKSet>;

/** The provider's keys, found by discovery once; the set itself follows their rotation. */
function remoteKeys({ issuer, jwks }: OidcIssuer): () => Promise<RemoteKeys> {
  let known: RemoteKeys | null = jwks === null ? null : createRemoteJWKSet(new URL(jwks));
  return async () => {
    if (known !== null) return known;
    const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(DISCOVERY_MS) });
      const found = response.ok ? ((await response.json()) as { jwks_uri?: unknown }) : {};
      if (typeof found.jwks_uri !== 'string') throw new Error(`HTTP ${response.status}, without jwks_uri`);
      known = createRemoteJWKSet(new URL(found.jwks_uri));
      return known;
    } catch (error) {
      throw unavailable(`${url}: ${messageOf(error)}`, error);
    }
  };
}

function refusalOf(error: unknown): TidemillError {
  if (error instanceof TidemillError) return error;
  if (error instanceof errors.JWTExpired) return invalid('the token has expired');
  if (error instanceof errors.JWTClaimValidationFailed) return invalid(`claim ${error.claim}: ${error.message}`);
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey)
    return invalid('the signature is not that of the issuer');
  if (error instanceof errors.JOSEAlgNotAllowed) return invalid('the signature is of a kind that is not accepted');
  if (error instanceof errors.JWTInvalid || error instanceof errors.JWSInvalid) return invalid('it is not a token');
  return unavailable(`the keys of the issuer: ${messageOf(error)}`, error);
}

function invalid(why: string): TidemillError {
  return new TidemillError('APPROVAL_INVALID', why);
}

function unavailable(why: string, cause: unknown): TidemillError {
  return new TidemillError('ISSUER_UNAVAILABLE', why, {}, { cause });
}
