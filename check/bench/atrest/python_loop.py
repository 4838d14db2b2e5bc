"""A loop that sends the heartbeat with the real Python SDK: the counterpart of floor.

    python python_loop.py '{"base": "http://127.0.0.1:1", "machine": "…", "agent": "…", "token": "…", "endpoint": "…", "seconds": 10}'
"""

import json
import os
import sys
import time

os.environ["DO_NOT_TRACK"] = "1"

from peaq_os_sdk import PeaqosClient
from peaq_os_sdk.orchestration.types.machine_agent import HeartbeatEndpointEntry, MachineAgentHeartbeatRequest

job = json.loads(sys.argv[1])
client = PeaqosClient(
    rpc_url="http://127.0.0.1:9",  # never called: nothing here is on the chain
    private_key="0x" + "11" * 32,
    orchestration_url=job["base"],
    api_key="not-used-by-the-heartbeat",
)
client.session.trust_env = False
entry = HeartbeatEndpointEntry(
    provider_key="demo", endpoint_base_url=job["endpoint"], auth_type="none", network_scope="loopback", probe_path="/health"
)
request = MachineAgentHeartbeatRequest(
    machine_id=job["machine"], agent_id=job["agent"], agent_token=job["token"],
    endpoints=(entry,), lease_ttl_seconds=3 * job["seconds"],
)
while True:
    client.orchestration.machine_agent_heartbeat(request)
    time.sleep(job["seconds"])
