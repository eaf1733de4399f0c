import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isTidemillError, messageOf } from '../../../../contracts/errors.js';
import { verifyAudit } from '../../../../stores/registry/auditChain.js';
import { openPostgresRegistry } from '../../../../stores/registry/postgresRegistry.js';
import { hasPostgres, startTestPostgres, type TestPostgres } from '../../../support/postgres.js';
import { describeRegistry } from './registrySuite.js';

describe.skipIf(!(await hasPostgres()))('with a PostgreSQL server', () => {
  let postgres: TestPostgres;
  beforeAll(async () => {
    postgres = await startTestPostgres();
  });
  afterAll(async () => {
    await postgres.stop();
  });

  describeRegistry('PostgreSQL registry', () => {
    // Projects do not see each other: a new one is an empty store.
    const own = randomUUID();
    let nowMs = 0;
    return {
      open: (project = 'fraud-project') =>
        openPostgresRegistry({ url: postgres.url, project: `${project}-${own}`, clock: () => nowMs }),
      setClock(ms) {
        nowMs = ms;
      },
      dispose: () => Promise.resolve(),
    };
  });
});
