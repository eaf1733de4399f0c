import { count, defineProject, eventStream, max, mean, sum, t, windowed } from 'tidemill';

/** The query that stream processors are compared by: one-minute windows per user, told on close. */
export const orders = eventStream('orders', {
  schema: {
    id: t.int(),
    at: t.timestamp(),
    user: t.int(),
    amount: t.decimal(2),
    device: t.string(),
    country: t.string(),
  },
  eventId: 'id',
  eventTime: 'at',
  key: 'user',
  allowedLateness: '10s',
});

export const perUser = windowed('per-user', orders)
  .by('user')
  .tumbling('1m')
  .aggregate(({ amount }) => ({ count: count(), sum: sum(amount), mean: mean(amount), max: max(amount) }))
  .emit('onClose')
  // The peers count every record, too: none of them looks for repeated ids.
  .duplicates('count')
  .to('per-user');

export const project = defineProject('tumbling', { windows: [perUser] });
