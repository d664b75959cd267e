// Reads the lists for buyers with the x402 packages, the way a buyer does.
// Usage: node x402.mjs URL   (http on loopback). One line of JSON on stdout: what the packages made of each item.

import { LIMIT_MS, isLoopbackUrl, refused, within } from './loopback.mjs';

const [url, ...rest] = process.argv.slice(2);
if (url === undefined || rest.length > 0 || !isLoopbackUrl(url)) {
  console.error('usage: node x402.mjs URL, which is http on loopback');
  process.exit(1);
}

const { HTTPFacilitatorClient } = await import('@x402/core/http');
const { PaymentRequirementsV2Schema, ResourceInfoSchema } = await import('@x402/core/schemas');
const { DEFAULT_ASSETS, getDefaultAsset } = await import('@x402/evm');
const { withBazaar } = await import('@x402/extensions/bazaar');

// Members that the type DiscoveryResource has, and the types of those members.
const REQUIRED = { resource: 'string', type: 'string', x402Version: 'number', lastUpdated: 'string' };
const OPTIONAL = { description: 'string', mimeType: 'string', serviceName: 'string', iconUrl: 'string' };

function check(item) {
  for (const [member, type] of Object.entries(REQUIRED)) {
    if (typeof item[member] !== type) throw new Error(`${member} is not a ${type}: ${JSON.stringify(item)}`);
  }
  for (const [member, type] of Object.entries(OPTIONAL)) {
    if (member in item && typeof item[member] !== type) throw new Error(`${member} is not a ${type}`);
  }
  if (Number.isNaN(Date.parse(item.lastUpdated))) throw new Error(`${item.lastUpdated} is not a time`);
  const { resource, description, serviceName } = item;
  ResourceInfoSchema.strict().parse({ url: resource, description, serviceName });
  if (!Array.isArray(item.accepts) || item.accepts.length === 0) throw new Error('nothing is accepted');
  return item.accepts.map((accepted) => {
    const { network, asset, amount, extra } = PaymentRequirementsV2Schema.strict().parse(accepted);
    const known = getDefaultAsset(network);
    const isDefault = known.asset.toLowerCase() === asset.toLowerCase();
    if (isDefault && (known.name !== extra.name || known.version !== extra.version)) {
      throw new Error(`the domain of ${asset} is ${JSON.stringify(known)}`);
    }
    return { resource, network, amount, isDefault };
  });
}

async function read() {
  const client = withBazaar(new HTTPFacilitatorClient({ url }));
  const list = await client.extensions.bazaar.listResources({ type: 'http', limit: 2, offset: 0 });
  const { limit, offset, total } = list.pagination;
  if (list.x402Version !== 2 || limit !== 2 || offset !== 0) throw new Error(JSON.stringify(list));
  const items = [...list.items];
  while (items.length < total) {
    const next = await client.extensions.bazaar.listResources({ type: 'http', limit: 2, offset: items.length });
    if (next.items.length === 0) throw new Error('an empty page before the end');
    items.push(...next.items);
  }
  const host = await (await fetch(`${url}/.well-known/x402`)).json();
  // What the packages know of USDC, to compare with docs/x402.md.
  const usdc = Object.entries(DEFAULT_ASSETS).flatMap(([network, assets]) =>
    assets.filter((it) => it.symbol === 'USDC' && !it.assetTransferMethod).map((it) => ({ network, ...it })),
  );
  return { listed: items.flatMap(check), host: host.resources.flatMap(check), usdc };
}

let failed = false;
try {
  console.log(JSON.stringify(await within(LIMIT_MS, read())));
} catch (error) {
  failed = true;
  console.error(error.stack);
}
for (const host of refused) {
  failed = true;
  console.error(`the packages tried to reach ${host}`);
}
process.exit(failed ? 1 : 0);
