/**
 * One of several processes that change one registry: `node competitor.mjs MODULE FILE NAME CHANGES`.
 * Makes CHANGES deployments by compare-and-set under rollout 1 of `fraud`, and opens as many rollouts of `churn`;
 * prints one line of JSON: how often it was refused, and the tokens that it was given.
 */
const [module, file, name, changes] = process.argv.slice(2);
const { openSqliteRegistry } = await import(module);
const registry = await openSqliteRegistry({ file });
const fence = { model: 'fraud', token: 1 };
let stale = 0;
const tokens = [];
for (let made = 0; made < Number(changes);) {
  const epoch = (await registry.deployment('fraud'))?.epoch ?? 0;
  // Lets the others in between reading and writing.
  await new Promise((resolve) => setImmediate(resolve));
  try {
    await registry.changeDeployment({
      fence,
      step: `${name}-${made}`,
      expectEpoch: epoch,
      next: { mode: 'single', champion: null, challenger: null, share: 0, salt: name, prepare: null },
      actor: name,
      reason: 'competition',
      evidence: null,
    });
    made++;
    tokens.push((await registry.openRollout('churn', `${name}-${made}`, 'competition')).token);
  } catch (error) {
    if (error.code !== 'EPOCH_STALE') throw error;
    stale++;
  }
}
await registry.close();
console.log(JSON.stringify({ stale, tokens }));
