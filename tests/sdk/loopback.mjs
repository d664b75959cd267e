// Makes "loopback only" a fact: a redirect or a default address in the SDK must not leave the machine.
// Imported before the SDK, so that loading it is watched too.

import net from 'node:net';

export const LIMIT_MS = 5000; // the SDK's own fetch has no time limit

export const loopback = (host) => host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
export const isLoopbackUrl = (url) => {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  return parsed?.protocol === 'http:' && loopback(parsed.hostname.replace(/^\[|\]$/g, ''));
};

// Hosts that were asked for and refused: the SDK may swallow the refusal, a check must not.
export const refused = [];
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  const first = Array.isArray(args[0]) ? args[0][0] : args[0]; // net.connect passes its arguments as a list
  const host = (typeof first === 'object' ? first.host : args[1]) ?? 'localhost';
  if (!loopback(host)) {
    refused.push(host);
    throw new Error(`connection to ${host} refused: not loopback`);
  }
  return connect.apply(this, args);
};

export function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
