import { count, defineProject, eventStream, last, max, mean, sum, t, windowed } from 'tidemill';

/** Windows without any model: what a shop wants to see while it sells. */

export const sales = eventStream('sales', {
  schema: { id: t.int(), at: t.timestamp(), customer: t.int(), city: t.string(), amount: t.decimal(2) },
  eventId: 'id',
  eventTime: 'at',
  key: 'customer',
  allowedLateness: '30s',
});

export const spendPerCustomer = windowed('spend-per-customer', sales)
  .by('customer')
  .tumbling('1m')
  .aggregate(({ amount }) => ({ sales: count(), total: sum(amount), largest: max(amount) }))
  .emit('onClose')
  .to('customer-spend');

/** The topic is keyed by customer: sales are sent on by city first. */
export const salesPerCity = windowed('sales-per-city', sales)
  .by('city')
  .hopping('5m', { every: '1m' })
  .aggregate(({ amount }) => ({ sales: count(), average: mean(amount), large: count().where(amount.ge(100)) }))
  .emit('onUpdate')
  .to('city-sales');

export const visits = windowed('visits', sales)
  .by('customer')
  .session({ gap: '10m' })
  .aggregate(({ amount, city }) => ({ sales: count(), total: sum(amount), city: last(city) }))
  .late({ update: '1h' })
  .to('customer-visits');

export const project = defineProject('shop', { windows: [spendPerCustomer, salesPerCity, visits] });
