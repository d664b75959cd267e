// JSON-RPC over HTTP, no more than the scripts here need.

export const rpc = (url) => async (method, ...params) => {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const { result, error } = await response.json();
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
};

// The ABI's words and byte strings, as hexadecimal digits.
export const word = (value) => BigInt(value).toString(16).padStart(64, '0');
export const bytes = (digits) => word(digits.length / 2) + digits.padEnd(Math.ceil(digits.length / 64) * 64, '0');
