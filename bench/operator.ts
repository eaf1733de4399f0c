import { createViewOperator } from '../features/operator/createViewOperator.js';
import { customerSpending, labels, terminalRisk, transactions } from '../examples/fraud/project.js';
import { DAY_MS } from '../contracts/duration.js';

/**
 * Cost of one event in the fraud project's operators: folded into and evaluated over two entities, 12 windowed features.
 * `npm run bench -- operator`
 */
const CUSTOMERS = 5_000;
const TERMINALS = 10_000;
const EVENTS = 1_000_000;
const EVENTS_PER_DAY = 9_500;

/** Multiplicative congruential generator; only spreads keys. */
let seed = 1;
function below(bound: number): number {
  seed = (seed * 48_271) % 2_147_483_647;
  return seed % bound;
}

const customers = createViewOperator(customerSpending.compiled);
const terminals = createViewOperator(terminalRisk.compiled);
const vector = new Float64Array(12);

function run(events: number, firstId: number): number {
  const started = performance.now();
  for (let at = 0; at < events; at++) {
    const id = firstId + at;
    const time = Math.floor((id * DAY_MS) / EVENTS_PER_DAY);
    const customer = below(CUSTOMERS);
    const terminal = below(TERMINALS);
    customers.insert(customer, time, id, [id, time, customer, terminal, below(20_000)], 0, id);
    customers.valuesAt(customer, time, id, true, vector, 0);
    terminals.insert(terminal, time, id, [id, time, customer, terminal, below(100) === 0], 0, id);
    terminals.valuesAt(terminal, time, null, false, vector, 6);
    if (at % 1_000 === 0) {
      customers.evict(time);
      terminals.evict(time);
    }
  }
  return (performance.now() - started) / events;
}

run(EVENTS / 2, 0);
const msPerEvent = run(EVENTS, EVENTS / 2);
const result = {
  streams: [transactions.compiled.name, labels.compiled.name],
  events: EVENTS,
  microsecondsPerEvent: Math.round(msPerEvent * 1e5) / 100,
  heldEvents: customers.size.events + terminals.size.events,
};
console.log(
  process.argv.includes('--json')
    ? JSON.stringify(result)
    : `${result.microsecondsPerEvent} microseconds an event (${result.heldEvents} events held)`,
);
