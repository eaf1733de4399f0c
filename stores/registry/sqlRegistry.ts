import { objectMethods } from './sqlObjects.js';
import type { Registry } from './registry.js';
import { approvalMethods } from './sqlApprovals.js';
import { auditMethods } from './sqlAudit.js';
import type { SqlDatabase } from './sqlDatabase.js';
import { deploymentMethods } from './sqlDeployments.js';
import { generationMethods } from './sqlGenerations.js';
import { clockMethods, instanceMethods } from './sqlInstances.js';
import { journalMethods } from './sqlJournal.js';
import { rolloutMethods } from './sqlRollouts.js';
import { versionMethods } from './sqlVersions.js';

/** The registry on a database: the same methods, whichever it is. */
export function registryOn(database: SqlDatabase): Registry {
  return {
    ...versionMethods(database),
    ...deploymentMethods(database),
    ...instanceMethods(database),
    ...rolloutMethods(database),
    ...journalMethods(database),
    ...objectMethods(database),
    ...approvalMethods(database),
    ...auditMethods(database),
    ...clockMethods(database),
    ...generationMethods(database),
    close: () => database.close(),
  };
}
