// Puts the fixture registry on a local node, behind its proxy, and prints its address.
// Usage: node deploy.mjs RPC   The node signs for its last unlocked account, which owns the registry then.

import fs from 'node:fs';
import { bytes, rpc, word } from './rpc.mjs';

const [url, ...rest] = process.argv.slice(2);
if (url === undefined || rest.length > 0) {
  console.error('usage: node deploy.mjs RPC');
  process.exit(1);
}

const { IdentityRegistry, Proxy: Erc1967 } = JSON.parse(fs.readFileSync(new URL('artifacts.json', import.meta.url)));
const INITIALIZE = '8129fc1c'; // initialize()
const call = rpc(url);
const from = (await call('eth_accounts')).at(-1);

async function create(data) {
  const hash = await call('eth_sendTransaction', { from, data });
  for (;;) {
    const receipt = await call('eth_getTransactionReceipt', hash);
    if (receipt !== null) {
      if (receipt.status !== '0x1') throw new Error(`the deployment reverted: ${hash}`);
      return receipt.contractAddress;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const implementation = await create(IdentityRegistry.bytecode);
const argument = word(implementation) + word(64) + bytes(INITIALIZE); // (address, bytes)
console.log(await create(Erc1967.bytecode + argument));
