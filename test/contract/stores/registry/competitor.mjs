/**
 * One of several processes that change one registry: `node competitor.mjs MODULE PROJECT NAME`, the address of the registry
 * in the environment, MODULE the built `openRegistry`. It says `open`, then answers each message of its parent:
 *
 * - `{ changes }`: makes so many deployments by compare-and-set under rollout 1 of `fraud`, reading the epoch anew where it
 *   was refused, and opens as many rollouts of `churn`; says how often it was refused, and the tokens that it was given.
 * - `{ epoch }`: tries one deployment from this epoch and opens a rollout of `churn`, both at once; says whether it won,
 *   and its token.
 * - `{ phase }`: sets the phase of its newest rollout of `churn`; says whether it was allowed to, or the error's code.
 * - `{ approve: { token } }`: uses the signed token `t<token>` for that rollout of `fraud`; says `used`, or the error's code.
 * - `{ close }`: ends.
 */
const [module, project, name] = process.argv.slice(2);
const { openRegistry } = await import(module);
const registry = await openRegistry({ registry: JSON.parse(process.env.REGISTRY_ADDRESS), project });
let fence = null;
let opened = 0;

const deploy = async (step, expectEpoch) => {
  try {
    await registry.changeDeployment({
      fence: { model: 'fraud', token: 1 },
      step: `${name}-${step}`,
      expectEpoch,
      next: { mode: 'single', champion: null, challenger: null, share: 0, salt: name, prepare: null },
      actor: name,
      reason: 'competition',
      evidence: null,
    });
    return true;
  } catch (error) {
    if (error.code !== 'EPOCH_STALE') throw error;
    return false;
  }
};
const openRollout = async () => {
  fence = await registry.openRollout('churn', `${name}-${++opened}`, 'competition');
  return fence.token;
};

const answers = {
  async changes(count) {
    let stale = 0;
    const tokens = [];
    for (let made = 0; made < count;) {
      const epoch = (await registry.deployment('fraud'))?.epoch ?? 0;
      // Lets the others in between reading and writing.
      await new Promise((resolve) => setImmediate(resolve));
      if (await deploy(made, epoch)) {
        made++;
        tokens.push(await openRollout());
      } else stale++;
    }
    return { stale, tokens };
  },
  async epoch(epoch) {
    const [won, token] = await Promise.all([deploy(`round-${epoch}`, epoch), openRollout()]);
    return { won, token };
  },
  async phase(phase) {
    return registry.setPhase(fence, phase).then(
      () => 'allowed',
      (error) => error.code,
    );
  },
  async approve({ token }) {
    const decision = { approved: true, by: name, identity: 'verified', reason: '' };
    const use = { jti: `t${token}`, usedBy: `${name}-${token}`, decision, evidence: null };
    return registry.consumeApproval({ model: 'fraud', token }, use).then(
      () => 'used',
      (error) => error.code,
    );
  },
  async close() {
    await registry.close();
    setImmediate(() => process.disconnect());
    return 'closed';
  },
};
process.on('message', async (message) => {
  const [[kind, value]] = Object.entries(message);
  process.send(await answers[kind](value));
});
process.send('open');
