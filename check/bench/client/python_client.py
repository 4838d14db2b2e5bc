"""One job with the real Python SDK: the counterpart of commands client and sign.

    python python_client.py '{"base": "http://127.0.0.1:1", "task": "beat", "calls": 500}'
"""

import json
import os
import resource
import sys
import time
import urllib.request

os.environ["DO_NOT_TRACK"] = "1"

from eth_account import Account
from eth_account.messages import encode_defunct
from peaq_os_sdk import PeaqosClient
from peaq_os_sdk.orchestration.types.machine_agent import HeartbeatEndpointEntry, MachineAgentHeartbeatRequest

MACHINES = 10_000


def cpu():
    use = resource.getrusage(resource.RUSAGE_SELF)
    return use.ru_utime + use.ru_stime


def peak():
    """ru_maxrss survives exec: a child would report its parent's."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


class Stopwatch:
    def __init__(self):
        self.before, self.cpu, self.wall = peak(), cpu(), time.perf_counter()

    def stop(self, calls):
        seconds, used = time.perf_counter() - self.wall, cpu() - self.cpu
        return {"calls": calls, "seconds": seconds, "cpu": used, "peak_kb": peak(), "before_kb": self.before}


def repeat(calls, call):
    for n in range(calls // 10):
        call(-n)
    watch = Stopwatch()
    for n in range(calls):
        call(n)
    return watch.stop(calls)


def pages_served(base):
    return int(urllib.request.urlopen(base + "/pages").read())


def walk(base, machines):
    before, n, first = pages_served(base), 0, 0
    watch = Stopwatch()
    for machine in machines:
        if n == 0:
            first = pages_served(base)
        if n % 1000 == 0 and machine.id != "mach_%06d" % n:
            raise SystemExit("machine %d is %s" % (n, machine.id))
        n += 1
    out = watch.stop(n)
    out["pages_at_first"] = first - before
    if n != MACHINES:
        raise SystemExit("%d machines came, not %d" % (n, MACHINES))
    return out


def main():
    job = json.loads(sys.argv[1])
    if job["task"] == "sign":
        key = "0x" + "4b" * 32
        result = repeat(job["calls"], lambda n: Account.sign_message(encode_defunct(text="machineId: 42\nsentAt: %d" % n), key))
    else:
        client = PeaqosClient(
            rpc_url="http://127.0.0.1:9",  # never called: nothing here is on the chain
            private_key="0x" + "11" * 32,
            orchestration_url=job["base"],
            api_key="bench-api-key",
        )
        client.session.trust_env = False
        api = client.orchestration
        if job["task"] == "list":
            result = walk(job["base"], api.list_machines_all(limit=job["calls"] or None))
        else:
            entry = HeartbeatEndpointEntry(
                provider_key="qvac", endpoint_base_url="http://127.0.0.1:11434", auth_type="none",
                network_scope="loopback", probe_path="/v1/models",
            )
            request = MachineAgentHeartbeatRequest(
                machine_id="mach_0001", agent_id="magt_0001", agent_token="bench-agent-token",
                endpoints=(entry,), lease_ttl_seconds=90,
            )
            result = repeat(job["calls"], lambda n: api.machine_agent_heartbeat(request))
    print(json.dumps(result))


main()
