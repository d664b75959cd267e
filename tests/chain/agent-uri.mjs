// Reads an agent's agentURI back from a registry and prints it.
// Usage: node agent-uri.mjs RPC REGISTRY ID

import { rpc, word } from './rpc.mjs';

const [url, to, id, ...rest] = process.argv.slice(2);
if (id === undefined || rest.length > 0) {
  console.error('usage: node agent-uri.mjs RPC REGISTRY ID');
  process.exit(1);
}

const TOKEN_URI = '0xc87b56dd'; // tokenURI(uint256)
const answer = await rpc(url)('eth_call', { to, data: TOKEN_URI + word(id) }, 'latest');
const digits = answer.slice(2 + 64); // one string: where it begins, its length, its bytes
const length = 2 * Number.parseInt(digits.slice(0, 64), 16);
console.log(Buffer.from(digits.slice(64, 64 + length), 'hex').toString());
