import { count, defineProject, eventStream, sum, t, windowed } from 'tidemill';

/** Updates of a window for every key: there is an output at every commit, so that a gap in them shows. */
export const events = eventStream('events', {
  schema: { id: t.int(), at: t.timestamp(), user: t.int(), amount: t.decimal(2) },
  eventId: 'id',
  eventTime: 'at',
  key: 'user',
  allowedLateness: '30s',
});

export const perUser = windowed('per-user', events)
  .by('user')
  .tumbling('10m')
  .aggregate(({ amount }) => ({ events: count(), total: sum(amount) }))
  .emit('onUpdate')
  .to('user-totals');

export const project = defineProject('recovery', { windows: [perUser] });
