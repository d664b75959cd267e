// Compiles contracts/ and writes artifacts.json, which is committed: running the tests needs no compiler.
// Usage: node build.mjs [--check]   --check writes nothing and exits 1 when artifacts.json is not what the contracts give.

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const artifacts = path.join(here, 'artifacts.json');

const args = process.argv.slice(2);
const check = args[0] === '--check';
if (args.length > (check ? 1 : 0)) {
  console.error('usage: node build.mjs [--check]');
  process.exit(1);
}

const { default: solc } = await import('solc').catch(() => {
  console.error('build.mjs: the compiler is not installed; run scripts/install-tools');
  process.exit(1);
});

const names = fs.readdirSync(path.join(here, 'contracts')).filter((file) => file.endsWith('.sol')).sort();
const sources = Object.fromEntries(
  names.map((file) => [`contracts/${file}`, { content: fs.readFileSync(path.join(here, 'contracts', file), 'utf8') }]),
);
const settings = {
  viaIR: true,
  optimizer: { enabled: true, runs: 200 },
  evmVersion: 'shanghai',
  // Without the digest of the sources in it, the code changes only when what it does changes.
  metadata: { bytecodeHash: 'none', appendCBOR: false },
  outputSelection: Object.fromEntries(
    Object.keys(sources).map((file) => [
      file,
      { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] },
    ]),
  ),
};

const imported = (name) => {
  const file = path.join(here, 'node_modules', name);
  return fs.existsSync(file) ? { contents: fs.readFileSync(file, 'utf8') } : { error: `${name} is not installed` };
};
const output = JSON.parse(
  solc.compile(JSON.stringify({ language: 'Solidity', sources, settings }), { import: imported }),
);
// Warnings in our own contracts count as errors; those in a dependency are not ours to mend.
const complaints = (output.errors ?? []).filter(
  ({ severity, sourceLocation }) => severity === 'error' || sourceLocation?.file in sources,
);
if (complaints.length > 0) {
  for (const complaint of complaints) console.error(complaint.formattedMessage);
  process.exit(1);
}

// One line for each thing of an interface, so that a diff can be read.
const line = (value) => JSON.stringify(value);
const block = (open, lines, close) => `${open}\n${lines.join(',\n')}\n${close}`;
const contracts = Object.keys(sources).map((file) => {
  const name = path.basename(file, '.sol');
  const { abi, evm } = output.contracts[file][name];
  const members = [
    `"abi": ${block('[', abi.map(line), ']')}`,
    `"bytecode": ${line(`0x${evm.bytecode.object}`)}`,
    `"deployedBytecode": ${line(`0x${evm.deployedBytecode.object}`)}`,
  ];
  return `${line(name)}: ${block('{', members, '}')}`;
});
const text = `${block('{', [`"compiler": ${line(solc.version())}`, ...contracts], '}')}\n`;

if (check) {
  const committed = fs.existsSync(artifacts) ? fs.readFileSync(artifacts, 'utf8') : '';
  if (committed !== text) {
    console.error('build.mjs: tests/chain/artifacts.json differs from the contracts; run node tests/chain/build.mjs');
    process.exit(1);
  }
} else {
  fs.writeFileSync(artifacts, text);
}
