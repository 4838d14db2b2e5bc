"""A buyer on the market, with the real SDK.

    BASE_URL=http://127.0.0.1:8787 API_KEY=k CONTROLLER_KEY=0x... RUNTIME=http://127.0.0.1:11434 python market_client.py

Prints one JSON object with what the SDK saw; the caller compares it with what
must have happened. An error that the SDK itself finds ends the program.
"""

import json
import os

from eth_account import Account
from machine_client import client, create, prove, refused, sign
from peaq_os_sdk.orchestration.types.agent_pairing import (
    AgentProofInput,
    CreateAgentPairingChallengeRequest,
    CreateAgentPairingRequest,
    CreateAgentPairingSessionRequest,
    DelegationPolicy,
    UpdateAgentPairingRequest,
)
from peaq_os_sdk.orchestration.types.machine import UpdateMachineRequest
from peaq_os_sdk.orchestration.types.market_order import (
    CreateMarketOrderRequest,
    DisputeMarketOrderRequest,
    ExecuteMarketOrderRequest,
)
from peaq_os_sdk.orchestration.types.market_search import MarketSearchRequest
from peaq_os_sdk.orchestration.types.market_service import ExecuteMarketServiceRequest
from peaq_os_sdk.orchestration.types.payment import (
    CreatePaymentIntentRequest,
    LockEscrowPaymentRequest,
    SubmitPaymentProofRequest,
)
from peaq_os_sdk.orchestration.types.policy import CreatePolicyRequest
from peaq_os_sdk.orchestration.types.runtime_endpoint import UpsertRuntimeEndpointRequest
from peaq_os_sdk.orchestration.types.skill import UpdateSkillConfigRequest
from peaq_os_sdk.orchestration.x402 import parse_x402_payment_requirements

API = client(os.environ["API_KEY"]).orchestration
WALLET = "0x" + "66" * 32
WHO = {"agent_address": Account.from_key(WALLET).address, "agent_provider": "anthropic", "agent_role": "buyer"}


def machine():
    _, proof = prove(API, os.environ["CONTROLLER_KEY"])
    return API.update_machine(create(API, proof).id, UpdateMachineRequest(status="active")).item.id


def agent_proof(machine_id):
    challenge = API.create_agent_pairing_challenge(machine_id, CreateAgentPairingChallengeRequest(**WHO)).item
    return AgentProofInput(challenge_id=challenge.challenge_id, signature=sign(challenge.message, WALLET))


class Buyer:
    """A pairing and what it does on the market."""

    def __init__(self, machine_id, policy=None):
        made = CreateAgentPairingRequest(agent_proof=agent_proof(machine_id), delegation_policy=policy, **WHO)
        self.pairing = API.create_agent_pairing(machine_id, made).item
        self.token = self.pairing.pairing_token

    def session(self):
        request = CreateAgentPairingSessionRequest(agent_proof=agent_proof(self.pairing.machine_id))
        self.token = API.create_agent_pairing_session(self.pairing.machine_id, self.pairing.id, request).item.pairing_token

    def ids(self):
        return {"machine_id": self.pairing.machine_id, "agent_pairing_id": self.pairing.id}

    def search(self, **wish):
        return API.search_market(MarketSearchRequest(**self.ids(), **wish), self.token).item

    def order(self, service, **more):
        return API.create_market_order(CreateMarketOrderRequest(service_id=service, **self.ids(), **more), self.token).item

    def intent(self, order):
        return API.create_payment_intent(order.id, CreatePaymentIntentRequest(), self.token).item

    def pay(self, order):
        amount = self.intent(order).amount
        claim = SubmitPaymentProofRequest(
            verification_mode="recorded", chain="base", token="USDC", payer_address=WHO["agent_address"],
            payee_address=order.payment.payee_address, amount=str(amount), transaction_hash="0x" + "cd" * 32,
        )
        return API.submit_payment_proof(order.id, claim, self.token).item

    def execute(self, order):
        return API.execute_market_order(order.id, ExecuteMarketOrderRequest(), self.token)

    def read(self, service, operation, given=None):
        request = ExecuteMarketServiceRequest(operation=operation, input_payload=given, **self.ids())
        return API.execute_market_service(service, request, self.token).execution.outcome


def paid(saw, buyer):
    order = buyer.order("svc_walrus_blob", input_payload={"content": "hello", "Odd_Key": 1})
    saw["unpaid"] = refused(lambda: buyer.execute(order))
    saw["payment"] = [API.get_market_payment(order.id).item, buyer.pay(order).status, API.get_market_order(order.id).item.status]
    done = buyer.execute(order)
    saw["executed"] = [done.order.status, done.execution.outcome.result["blobId"]]
    saw["confirmed"] = API.confirm_market_order(order.id, buyer.token).payment.status
    saw["released"] = API.release_payment(order.id, None, buyer.token).item.status
    saw["closed"] = refused(lambda: buyer.execute(order))
    back = buyer.order("svc_walrus_blob", operation="read-blob", input_payload={"blobId": saw["executed"][1]})
    buyer.pay(back)
    saw["read back"] = buyer.execute(back).execution.outcome.result["contentBase64"]
    wrong = DisputeMarketOrderRequest(reason="not what I stored")
    saw["disputed"] = API.dispute_market_order(back.id, wrong, buyer.token).payment.status
    saw["refunded"] = API.refund_payment(back.id, None, buyer.token).item.status


def other_rails(saw, buyer):
    depth = buyer.order("svc_market_depth", input_payload={"symbol": "ETH/USD"})
    asked = parse_x402_payment_requirements(buyer.intent(depth))
    saw["x402"] = [asked.network, asked.amount, asked.extra_name]
    visit = buyer.order("svc_field_inspection", input_payload={"site": "pump house"})
    buyer.intent(visit)
    lock = LockEscrowPaymentRequest(transaction_hash="0xab", chain="base", escrow_address="0x" + "22" * 20)
    saw["escrow"] = [API.lock_escrow_payment(visit.id, lock, buyer.token).item.status, buyer.execute(visit).order.status]
    saw["handoff"] = buyer.execute(buyer.order("svc_world_id")).execution.status_code


def on_device(saw, buyer):
    saw["before"] = [q.service_id for q in buyer.search(operation="chat-completion").quotes]
    here = UpsertRuntimeEndpointRequest(endpoint_base_url=os.environ["RUNTIME"], model_alias="small")
    API.upsert_runtime_endpoint(buyer.pairing.machine_id, "qvac", here)
    found = buyer.search(operation="chat-completion")
    talk = {"messages": [{"role": "user", "content": "hello"}]}
    order = buyer.order("svc_qvac_inference", search_id=found.id, quote_id=found.quotes[0].id, input_payload=talk)
    done = buyer.execute(order)
    saw["on the device"] = [done.order.status, done.execution.outcome.result]
    saw["models"] = buyer.read("svc_qvac_inference", "list-models").result


def rules(saw, buyer):
    machine_id, pairing = buyer.pairing.machine_id, buyer.pairing
    old = buyer.token
    limits = DelegationPolicy((), (), (), ("svc_price_feed",), per_transaction_limit=1, daily_spend_limit=1.5, currency="USDC")
    API.update_agent_pairing(machine_id, pairing.id, UpdateAgentPairingRequest(delegation_policy=limits))
    saw["old policy"] = refused(lambda: buyer.search())
    buyer.session()
    saw["denied"] = refused(lambda: buyer.order("svc_price_feed"))
    saw["too much"] = refused(lambda: buyer.order("svc_field_inspection"))
    saw["too often"] = refused(lambda: buyer.order("svc_walrus_blob"))  # after what was bought today
    policy = API.create_policy(CreatePolicyRequest(name="here only", native_only=True)).item
    API.update_machine(machine_id, UpdateMachineRequest(policy_ids=(policy.id,)))
    saw["not native"] = refused(lambda: buyer.order("svc_world_id"))
    API.update_skill_config("akash.compute", UpdateSkillConfigRequest(credentials={"consoleApiKey": "k"}))
    saw["configured"] = API.get_skill("akash.compute").item.auth_state
    API.update_agent_pairing(machine_id, pairing.id, UpdateAgentPairingRequest(status="paused"))
    saw["paused"] = refused(lambda: buyer.search())
    API.revoke_agent_pairing(machine_id, pairing.id)
    saw["old token"] = refused(lambda: API.search_market(MarketSearchRequest(), old))


def main():
    saw = {}
    buyer = Buyer(machine())
    saw["price"] = buyer.read("svc_price_feed", "get-price", {"symbol": "BTC/USD"}).result
    paid(saw, buyer)
    other_rails(saw, buyer)
    on_device(saw, buyer)
    rules(saw, buyer)
    saw["orders"] = len(list(API.list_market_orders_all(machine_id=buyer.pairing.machine_id, limit=3)))
    print(json.dumps(saw))


main()
