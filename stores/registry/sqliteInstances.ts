import type { InstanceLease, Registry } from './registry.js';
import type { SqliteDatabase } from './sqliteDatabase.js';
import { jsonText } from './jsonText.js';

export function instanceMethods(
  database: SqliteDatabase,
): Pick<Registry, 'renewInstance' | 'removeInstance' | 'liveInstances' | 'sweepInstances'> {
  return {
    renewInstance: (state, leaseMs) =>
      database.write((sql) => {
        sql.run(
          `INSERT OR REPLACE INTO instances
             (project, instance, kind, models, ready_epoch, active_epoch, breaker, problem, expires_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
          sql.project,
          state.instance,
          state.kind,
          jsonText(state.models),
          state.readyEpoch,
          state.activeEpoch,
          state.breaker,
          state.problem,
          sql.now + leaseMs,
        );
      }),
    removeInstance: (instance) =>
      database.write((sql) => {
        sql.run('DELETE FROM instances WHERE project = ? AND instance = ?', sql.project, instance);
      }),
    liveInstances: (model) =>
      database.read((sql) =>
        sql
          .rows('SELECT * FROM instances WHERE project = ? AND expires_at > ? ORDER BY instance', sql.project, sql.now)
          .map((row): InstanceLease => ({
            instance: row['instance'] as string,
            kind: row['kind'] as InstanceLease['kind'],
            models: JSON.parse(row['models'] as string) as string[],
            readyEpoch: row['ready_epoch'] as number,
            activeEpoch: row['active_epoch'] as number,
            breaker: row['breaker'] as InstanceLease['breaker'],
            problem: row['problem'] as string | null,
            expiresAt: row['expires_at'] as number,
          }))
          .filter(({ models }) => models.includes(model)),
      ),
    sweepInstances: () =>
      database.write((sql) =>
        sql.run('DELETE FROM instances WHERE project = ? AND expires_at <= ?', sql.project, sql.now),
      ),
  };
}

export function clockMethods(
  database: SqliteDatabase,
): Pick<Registry, 'advanceWatermark' | 'watermark' | 'generation' | 'issueGeneration'> {
  return {
    advanceWatermark: (stream, watermark) =>
      database.write((sql) => {
        sql.run(
          `INSERT INTO watermarks (project, stream, watermark) VALUES (?, ?, ?)
           ON CONFLICT (project, stream) DO UPDATE SET watermark = max(watermark, excluded.watermark)`,
          sql.project,
          stream,
          watermark,
        );
      }),
    watermark: (stream) =>
      database.read((sql) => {
        const row = sql.row('SELECT watermark FROM watermarks WHERE project = ? AND stream = ?', sql.project, stream);
        return row === null ? null : (row['watermark'] as number);
      }),
    generation: (topology) =>
      database.read((sql) => {
        const row = sql.row(
          'SELECT generation FROM generations WHERE project = ? AND topology = ?',
          sql.project,
          topology,
        );
        return row === null ? 1 : (row['generation'] as number);
      }),
    issueGeneration: (topology) =>
      database.write((sql) => {
        sql.run(
          `INSERT INTO generations (project, topology, generation) VALUES (?, ?, 2)
           ON CONFLICT (project, topology) DO UPDATE SET generation = generation + 1`,
          sql.project,
          topology,
        );
        const row = sql.row(
          'SELECT generation FROM generations WHERE project = ? AND topology = ?',
          sql.project,
          topology,
        );
        return row?.['generation'] as number;
      }),
  };
}
