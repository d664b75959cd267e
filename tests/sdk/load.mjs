// Loads registration documents with the agent0 SDK the way a consumer does: through tokenURI.
// Usage: node load.mjs URL...   (http on loopback). One line of JSON per loaded document on stdout.

import http from 'node:http';
import { LIMIT_MS, isLoopbackUrl, refused, within } from './loopback.mjs';

// A chain the SDK has no defaults for, so that it brings in neither a public RPC nor a subgraph.
const CHAIN = 31337;
const REGISTRY = '0x8004A169FB4a3325136EB29fA0ceB6D2e539a432';
const OWNER = '0x00000000000000000000000000000000000000aa';

// The ABI is written by hand, so that the SDK's decoder does not meet its own encoder.
const word = (n) => BigInt(n).toString(16).padStart(64, '0');
const bytes = (text) => {
  const hex = Buffer.from(text).toString('hex');
  return word(32) + word(hex.length / 2) + hex.padEnd(Math.ceil(hex.length / 64) * 64, '0');
};

function ethCall({ to, data }, urls) {
  const id = BigInt(`0x${data.slice(10, 74)}`);
  const known = to.toLowerCase() === REGISTRY.toLowerCase() && id < BigInt(urls.length);
  switch (data.slice(0, 10)) {
    case '0xc87b56dd': // tokenURI(uint256)
      if (known) return `0x${bytes(urls[Number(id)])}`;
      break;
    case '0x6352211e': // ownerOf(uint256)
      if (known) return `0x${word(OWNER)}`;
      break;
    case '0x00339509': // getAgentWallet(uint256): unset is the zero address
      return `0x${word(0)}`;
    case '0xcb4799f2': // getMetadata(uint256,string): unset is empty
      return `0x${bytes('')}`;
  }
  throw { code: 3, message: 'execution reverted', data: '0x' };
}

function answer({ id, method, params }, urls) {
  const chain = {
    eth_chainId: () => `0x${CHAIN.toString(16)}`,
    net_version: () => String(CHAIN),
    eth_blockNumber: () => '0x1',
    eth_call: () => ethCall(params[0], urls),
  };
  try {
    if (!Object.hasOwn(chain, method)) throw { code: -32601, message: `the stub has no ${method}` };
    return { jsonrpc: '2.0', id, result: chain[method]() };
  } catch (error) {
    return { jsonrpc: '2.0', id, error: { code: error.code ?? -32603, message: error.message, data: error.data } };
  }
}

function startChain(urls) {
  const server = http.createServer(async (req, res) => {
    let body = '';
    for await (const chunk of req) body += chunk;
    const call = JSON.parse(body);
    const reply = Array.isArray(call) ? call.map((one) => answer(one, urls)) : answer(call, urls);
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(reply));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

async function load(sdk, id, url) {
  const agent = await sdk.loadAgent(`${CHAIN}:${id}`);
  const { name, description, image, active, x402support, endpoints, ...rest } = agent.getRegistrationFile();
  // A wallet here can only come from the document: on the stub's chain none is set.
  const wallet = (await agent.getWallet()) ?? null;
  return { url, name, description, image: image ?? null, active, x402support, endpoints, wallet, ...rest };
}

const urls = process.argv.slice(2);
if (urls.length === 0) {
  console.error('usage: node load.mjs URL...');
  process.exit(1);
}

let failed = false;
const fail = (url, why) => {
  failed = true;
  console.error(`${url}: ${why}`);
};

for (const url of urls) {
  if (!isLoopbackUrl(url)) fail(url, 'not an http URL on loopback');
}
if (failed) process.exit(1);

const { SDK } = await import('agent0-sdk'); // after the guard, so that loading it is watched too
const server = await startChain(urls);
const sdk = new SDK({
  chainId: CHAIN,
  rpcUrl: `http://127.0.0.1:${server.address().port}`,
  registryOverrides: { [CHAIN]: { IDENTITY: REGISTRY } },
});

for (const [id, url] of urls.entries()) {
  try {
    const report = await within(LIMIT_MS, load(sdk, id, url));
    console.log(JSON.stringify(report));
  } catch (error) {
    fail(url, error.message);
  }
  // The SDK may swallow a refused connection; the check must not.
  for (const host of refused.splice(0)) fail(url, `the SDK tried to reach ${host}`);
}

server.close();
server.closeAllConnections();
// A document server that never answers would keep the process alive through the SDK's fetch.
if (failed) process.exit(1);
