"""What the owner of a machine sees of it through the real SDK.

    BASE_URL=... API_KEY=k MACHINE_ID=mach_... python owner_view.py

For each line on standard input it reads the machine once and prints one JSON
object, so that a caller can watch a machine without starting Python again.
"""

import json
import os
import sys

os.environ["DO_NOT_TRACK"] = "1"

from peaq_os_sdk import PeaqosClient

client = PeaqosClient(
    rpc_url="http://127.0.0.1:9",  # never called: nothing here is on the chain
    private_key="0x" + "11" * 32,
    orchestration_url=os.environ["BASE_URL"],
    api_key=os.environ["API_KEY"],
)
client.session.trust_env = False
api = client.orchestration
machine_id = os.environ["MACHINE_ID"]

for _ in sys.stdin:
    machine = api.get_machine(machine_id).item
    agents = api.list_machine_agents(machine_id).items
    endpoints = api.list_runtime_endpoints(machine_id).items
    sight = {
        "machine": machine.status,
        "identity": machine.identity_ref,
        "agents": [{"id": a.id, "status": a.status, "last_seen_at": a.last_seen_at} for a in agents],
        "endpoints": [
            {
                "provider_key": e.provider_key,
                "source": e.source,
                "status": e.status,
                "agent_id": e.agent_id,
                "base_url": e.endpoint_base_url,
                "scope": e.network_scope,
            }
            for e in endpoints
        ],
    }
    print(json.dumps(sight), flush=True)
