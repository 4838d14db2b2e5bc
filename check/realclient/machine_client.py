"""A machine on an orchestrator, from its registration to a revoked agent, with the real SDK.

    BASE_URL=http://127.0.0.1:8787 API_KEY=k CONTROLLER_KEY=0x... python machine_client.py

Prints one JSON object with what the SDK saw; the caller compares it with what
the server has stored. An error that the SDK itself finds ends the program.
"""

import json
import os

os.environ["DO_NOT_TRACK"] = "1"

from eth_account import Account
from eth_account.messages import encode_defunct
from peaq_os_sdk import PeaqosClient
from peaq_os_sdk.orchestration.errors import OrchestrationApiError
from peaq_os_sdk.orchestration.types.machine import (
    CreateMachineIdentityChallengeRequest,
    CreateMachineRequest,
    MachineIdentityProofInput,
    UpdateMachineRequest,
)
from peaq_os_sdk.orchestration.types.machine_agent import (
    EnrollMachineAgentRequest,
    HeartbeatEndpointEntry,
    MachineAgentHeartbeatRequest,
)
from peaq_os_sdk.orchestration.types.runtime_endpoint import UpsertRuntimeEndpointRequest

IDENTITY = "did:peaq:4242"
RUNTIME = "http://127.0.0.1:11434"


def client(api_key):
    made = PeaqosClient(
        rpc_url="http://127.0.0.1:9",  # never called: nothing here is on the chain
        private_key="0x" + "11" * 32,
        orchestration_url=os.environ["BASE_URL"],
        api_key=api_key,
    )
    made.session.trust_env = False
    return made


def connect(api_key):
    return client(api_key).orchestration


def refused(call):
    """The error code with which the server rejects a call."""
    try:
        call()
    except OrchestrationApiError as error:
        return error.code
    return "accepted"


def sign(text, key):
    signature = Account.sign_message(encode_defunct(text=text), key).signature.hex()
    return signature if signature.startswith("0x") else "0x" + signature


def prove(api, key, identity=IDENTITY):
    challenge = api.create_machine_identity_challenge(CreateMachineIdentityChallengeRequest(identity_ref=identity)).item
    return challenge, MachineIdentityProofInput(challenge_id=challenge.challenge_id, signature=sign(challenge.message, key))


def create(api, proof, identity=IDENTITY):
    return api.create_machine(
        CreateMachineRequest(
            display_name="real client",
            owner_id="acct_real",
            machine_type="edge-node",
            runtime_profile="linux-native",
            identity_ref=identity,
            identity_proof=proof,
            labels={"lab": "yes"},
        )
    ).item


def beat(api, agent, token, lease):
    return api.machine_agent_heartbeat(
        MachineAgentHeartbeatRequest(
            machine_id=agent.machine_id,
            agent_id=agent.id,
            agent_token=token,
            endpoints=(HeartbeatEndpointEntry(provider_key="qvac", endpoint_base_url=RUNTIME, network_scope="loopback"),),
            lease_ttl_seconds=lease,
        )
    ).item


def main():
    saw = {}
    api = connect(os.environ["API_KEY"])
    saw["health"] = api.check_health().ok
    saw["wrong_api_key"] = refused(lambda: connect("not-" + os.environ["API_KEY"]).list_machines())

    key = os.environ["CONTROLLER_KEY"]
    challenge, proof = prove(api, key)
    saw["controllers"] = list(challenge.controller_addresses)
    _, forged = prove(api, "0x" + "22" * 32)
    saw["forged_proof"] = refused(lambda: create(api, forged))
    machine = create(api, proof)
    saw["machine"], saw["created_as"] = machine.id, machine.status
    saw["proof_used_twice"] = refused(lambda: create(api, proof))
    saw["enroll_draft"] = refused(lambda: api.enroll_machine_agent(machine.id, EnrollMachineAgentRequest()))
    saw["activated_as"] = api.update_machine(machine.id, UpdateMachineRequest(status="active")).item.status
    saw["machines"] = [m.id for m in api.list_machines_all()]

    agent = api.enroll_machine_agent(
        machine.id, EnrollMachineAgentRequest(label="real", allowed_provider_keys=("qvac",))
    ).item
    saw["agent"], saw["agent_before"], saw["token"] = agent.id, agent.status, agent.provisioning_token
    saw["wrong_token"] = refused(lambda: beat(api, agent, "wrong", 30))
    result = beat(api, agent, agent.provisioning_token, 30)
    saw["lease"], saw["beat_status"] = result.lease_ttl_seconds, result.endpoints[0].status
    listed = api.list_machine_agents(machine.id).items
    saw["agents"] = [{"id": a.id, "status": a.status, "seen": a.last_seen_at, "token": a.provisioning_token} for a in listed]

    api.upsert_runtime_endpoint(
        machine.id, "camera", UpsertRuntimeEndpointRequest(endpoint_base_url="http://10.0.0.7:80", network_scope="lan")
    )
    saw["endpoints"] = {
        e.provider_key: [e.source, e.status, e.endpoint_base_url] for e in api.list_runtime_endpoints_all(machine.id)
    }
    api.delete_runtime_endpoint(machine.id, "camera")
    saw["deleted"] = refused(lambda: api.get_runtime_endpoint(machine.id, "camera"))

    api.revoke_machine_agent(machine.id, agent.id)
    saw["beat_of_revoked"] = refused(lambda: beat(api, agent, agent.provisioning_token, 30))
    print(json.dumps(saw))


if __name__ == "__main__":
    main()
