"""Resolves an agent with the agent0 SDK for Python, as resolve.mjs does with the one for JavaScript.

Usage: resolve.py RPC REGISTRY ID   (all on loopback). One line of JSON on stdout.
"""

import json
import socket
import sys

# A chain the SDK has no defaults for, so that it brings in neither a public RPC nor a subgraph.
CHAIN = 31337
LOOPBACK = ("127.0.0.1", "::1", "localhost")
refused = []


def guard(name, place):
    """Has a function of sockets refuse and record every host that is not this machine."""
    owner, real = (socket.socket, getattr(socket.socket, name)) if place is None else (socket, getattr(socket, name))

    def guarded(*args, **more):
        host = args[1][0] if place is None and isinstance(args[1], tuple) else args[0] if place == 0 else None
        if host is not None and host not in LOOPBACK:
            refused.append(str(host))
            raise OSError(f"{host} is not on loopback")
        return real(*args, **more)

    setattr(owner, name, guarded)


guard("connect", None)
guard("connect_ex", None)
guard("getaddrinfo", 0)

from agent0_sdk import SDK  # noqa: E402  after the guard, so that loading it is watched too

rpc, registry, agent_id = sys.argv[1:]
# It asks for a second registry before it can read the first; that one is never called here.
registries = {"IDENTITY": registry, "REPUTATION": registry}
sdk = SDK(chainId=CHAIN, rpcUrl=rpc, registryOverrides={CHAIN: registries})
agent = sdk.loadAgent(f"{CHAIN}:{agent_id}")
file = agent.registration_file
print(
    json.dumps(
        {
            "agentId": file.agentId,
            "agentURI": file.agentURI,
            "name": file.name,
            "description": file.description,
            "active": file.active,
            "x402support": file.x402support,
            "endpoints": [{"type": it.type.value, "value": it.value} for it in file.endpoints],
            "owners": file.owners,
            "wallet": file.walletAddress,
        }
    )
)
if refused:
    sys.exit(f"the SDK tried to reach {', '.join(refused)}")
