import type { InstanceFeatures, InstanceLease, Registry } from './registry.js';
import type { SqlDatabase } from './sqlDatabase.js';
import { jsonText } from './jsonText.js';

export function instanceMethods(
  database: SqlDatabase,
): Pick<Registry, 'renewInstance' | 'removeInstance' | 'liveInstances' | 'sweepInstances'> {
  return {
    renewInstance: (state, leaseMs) =>
      database.write(instanceScope(state.instance), async (sql) => {
        await sql.run(
          `INSERT INTO instances
             (project, instance, kind, models, ready_epoch, active_epoch, breaker, problem, features,
              refused_epoch, expires_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (project, instance) DO UPDATE SET
             kind = excluded.kind, models = excluded.models, ready_epoch = excluded.ready_epoch,
             active_epoch = excluded.active_epoch, breaker = excluded.breaker, problem = excluded.problem,
             features = excluded.features, refused_epoch = excluded.refused_epoch, expires_at = excluded.expires_at`,
          sql.project,
          state.instance,
          state.kind,
          jsonText(state.models),
          state.readyEpoch,
          state.activeEpoch,
          state.breaker,
          state.problem,
          state.features === undefined ? null : jsonText(state.features),
          state.refusedEpoch ?? 0,
          sql.now + leaseMs,
        );
      }),
    removeInstance: (instance) =>
      database.write(instanceScope(instance), async (sql) => {
        await sql.run('DELETE FROM instances WHERE project = ? AND instance = ?', sql.project, instance);
      }),
    liveInstances: async (model) => {
      const now = await database.now();
      return database.read(async (sql) => {
        const rows = await sql.rows(
          'SELECT * FROM instances WHERE project = ? AND expires_at > ? ORDER BY instance',
          sql.project,
          now,
        );
        return rows
          .map((row): InstanceLease => ({
            instance: row['instance'] as string,
            kind: row['kind'] as InstanceLease['kind'],
            models: JSON.parse(row['models'] as string) as string[],
            readyEpoch: row['ready_epoch'] as number,
            activeEpoch: row['active_epoch'] as number,
            breaker: row['breaker'] as InstanceLease['breaker'],
            problem: row['problem'] as string | null,
            ...((row['refused_epoch'] as number) === 0 ? {} : { refusedEpoch: row['refused_epoch'] as number }),
            ...featuresOf(row['features']),
            expiresAt: row['expires_at'] as number,
          }))
          .filter(({ models }) => models.includes(model));
      });
    },
    sweepInstances: () =>
      database.write('instances', (sql) =>
        sql.run('DELETE FROM instances WHERE project = ? AND expires_at <= ?', sql.project, sql.now),
      ),
  };
}

export function clockMethods(database: SqlDatabase): Pick<Registry, 'advanceWatermark' | 'watermark'> {
  return {
    advanceWatermark: (stream, watermark) =>
      database.write(`stream/${stream}`, async (sql) => {
        await sql.run(
          `INSERT INTO watermarks (project, stream, watermark) VALUES (?, ?, ?)
           ON CONFLICT (project, stream) DO UPDATE SET watermark = excluded.watermark
             WHERE watermarks.watermark < excluded.watermark`,
          sql.project,
          stream,
          watermark,
        );
      }),
    watermark: (stream) =>
      database.read(async (sql) => {
        const row = await sql.row(
          'SELECT watermark FROM watermarks WHERE project = ? AND stream = ?',
          sql.project,
          stream,
        );
        return row === null ? null : (row['watermark'] as number);
      }),
  };
}

function featuresOf(text: unknown): Pick<InstanceLease, 'features'> {
  return typeof text === 'string' ? { features: JSON.parse(text) as InstanceFeatures } : {};
}

function instanceScope(instance: string): string {
  return `instance/${instance}`;
}
