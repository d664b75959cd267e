// Resolves an agent with the agent0 SDK the way a consumer does: id, agentURI on chain, document.
// Usage: node resolve.mjs RPC REGISTRY ID   (all on loopback). One line of JSON on stdout.

import { LIMIT_MS, isLoopbackUrl, refused, within } from './loopback.mjs';

const CHAIN = 31337; // a chain the SDK has no defaults for, so that it brings in neither a public RPC nor a subgraph

const [rpcUrl, registry, id, ...rest] = process.argv.slice(2);
if (id === undefined || rest.length > 0 || !isLoopbackUrl(rpcUrl)) {
  console.error('usage: node resolve.mjs RPC REGISTRY ID, RPC being http on loopback');
  process.exit(1);
}

const { SDK } = await import('agent0-sdk');
const sdk = new SDK({ chainId: CHAIN, rpcUrl, registryOverrides: { [CHAIN]: { IDENTITY: registry } } });

async function resolve() {
  const agent = await sdk.loadAgent(`${CHAIN}:${id}`);
  const { agentId, agentURI, name, active, x402support, endpoints, owners } = agent.getRegistrationFile();
  const document = await (await fetch(agentURI)).json();
  const wallet = (await agent.getWallet()) ?? null;
  return { agentId, agentURI, name, active, x402support, endpoints, owners, wallet, registrations: document.registrations };
}

let failed = false;
try {
  console.log(JSON.stringify(await within(LIMIT_MS, resolve())));
} catch (error) {
  failed = true;
  console.error(`${id}: ${error.message}`);
}
for (const host of refused) {
  failed = true;
  console.error(`the SDK tried to reach ${host}`);
}
process.exit(failed ? 1 : 0);
