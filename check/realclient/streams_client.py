"""Purchases, the control socket, devices and their events, with the real SDK.

    BASE_URL=http://127.0.0.1:8787 API_KEY=k CONTROLLER_KEY=0x... python streams_client.py

Prints one JSON object with what the SDK saw; the caller compares it with what
must have happened. An error that the SDK itself finds ends the program.
"""

import datetime
import json
import os
import queue
import threading

import requests
from eth_account import Account
from machine_client import client, create, prove, refused, sign
from peaq_os_sdk.orchestration import is_onem2m_service, purchases
from peaq_os_sdk.orchestration.control_socket import connect_control_socket
from peaq_os_sdk.orchestration.errors import StreamDeliveryNotReadyError
from peaq_os_sdk.orchestration.types.agent_pairing import (
    AgentProofInput,
    CreateAgentPairingChallengeRequest,
    CreateAgentPairingRequest,
)
from peaq_os_sdk.orchestration.types.iot_events import IotStreamOptions
from peaq_os_sdk.orchestration.types.iot_subscription import SubscribeEventsInput
from peaq_os_sdk.orchestration.types.machine import UpdateMachineRequest
from peaq_os_sdk.orchestration.types.machine_agent import EnrollMachineAgentRequest
from peaq_os_sdk.orchestration.types.onem2m import (
    Onem2mCreateOrderRequest,
    Onem2mExecuteActionInput,
    Onem2mExecuteOrderRequest,
    Onem2mGetDeviceInfoInput,
    Onem2mGetLatestDataInput,
    Onem2mListDevicesInput,
    Onem2mReadRequest,
)
from peaq_os_sdk.orchestration.types.purchases import (
    BuyerPublicKey,
    PeaqosP2pConnect,
    PrepareStreamAccessRequest,
    PrepareStreamDelivery,
    PurchaseBuyerInput,
    PurchaseDeliveryRequirements,
    PurchaseEventActor,
    PurchaseResource,
    PurchaseResourceSelection,
    TransferPaymentIntentRail,
    TransferRailDestination,
    X402PaymentIntentRail,
)
from peaq_os_sdk.orchestration.types.stream_purchase import (
    DeliveryCapabilityInput,
    StreamListingDeliveryOptionInput,
    StreamListingPurchaseFields,
    StreamListingResource,
    TransferListingRail,
    TransferListingRailDestination,
    X402ListingRail,
)
from peaq_os_sdk.stream.types.buyer_access import BuyerAccessEntry
from peaq_os_sdk.stream.types.chunk import KeyRecipient

CLIENT = client(os.environ["API_KEY"])
API = CLIENT.orchestration
BUYER_KEY = "0x" + "77" * 32
WAY = DeliveryCapabilityInput(transport_id="peaqos-p2p", version="1", features=("resume",))


def machine(identity):
    _, proof = prove(API, os.environ["CONTROLLER_KEY"], identity)
    made = create(API, proof, identity)
    return API.update_machine(made.id, UpdateMachineRequest(status="active")).item.id


def pair(machine_id):
    who = {"agent_address": Account.from_key(BUYER_KEY).address, "agent_provider": "anthropic", "agent_role": "buyer"}
    challenge = API.create_agent_pairing_challenge(machine_id, CreateAgentPairingChallengeRequest(**who)).item
    proof = AgentProofInput(challenge_id=challenge.challenge_id, signature=sign(challenge.message, BUYER_KEY))
    return API.create_agent_pairing(machine_id, CreateAgentPairingRequest(agent_proof=proof, **who)).item


class Listener:
    """The messages of a control socket, in order."""

    def __init__(self):
        self.heard = queue.Queue()

    def on_connected(self, message):
        self.heard.put(message.type)

    def on_notification(self, message):
        self.heard.put(message.type)

    def on_ack(self, message):
        self.heard.put(message.type + " of " + message.message_type)

    def on_error(self, error):
        self.heard.put(str(error))

    def on_close(self):
        self.heard.put("closed")

    def next(self):
        return self.heard.get(timeout=20)


def offer(seller, agent):
    """A listing with everything a purchase needs. No SDK has a call to create it."""
    body = {"title": "Lidar", "chunkIds": ["c1", "c2"], "price": {"amount": 2.5, "currency": "USDC"}}
    url = os.environ["BASE_URL"] + f"/api/v1/machines/{seller}/stream/listings"
    made = requests.post(url, json=body, headers={"x-api-key": os.environ["API_KEY"]}, timeout=20)
    listing = made.json()["item"]["id"]
    fields = StreamListingPurchaseFields(
        resource=StreamListingResource(type="stream.bundle", mode="bundle"),
        payment_rails=(
            X402ListingRail(type="x402", chain="base", token="USDC"),
            TransferListingRail(
                type="transfer", destination=TransferListingRailDestination(chain="base", token="USDC", pay_to="0xA")
            ),
        ),
        delivery_options=(StreamListingDeliveryOptionInput(transport_id="peaqos-p2p", version="1", features=()),),
    )
    API.update_stream_listing_purchase_fields(seller, listing, fields)
    API.put_delivery_capabilities(seller, agent_id=agent.id, capabilities=[WAY])
    return listing


def buy(listing, buyer, rail):
    """A purchase, its amount, and how it was paid."""
    token = buyer.pairing_token
    bought = API.create_purchase(
        resource=PurchaseResource(
            type="stream.listing", listing_id=listing, selection=PurchaseResourceSelection(chunk_ids=("c1",))
        ),
        buyer=PurchaseBuyerInput(
            id="b1",
            public_key=BuyerPublicKey(type="x25519", public_key_hex="aa"),
            delivery_capabilities=(WAY,),
            machine_id=buyer.machine_id,
        ),
        delivery=PurchaseDeliveryRequirements(acceptable_modes=("p2p",), preferred_transports=("peaqos-p2p",)),
        pairing_token=token,
    )
    try:
        API.get_purchase_delivery(bought.id, token)
        early = "accepted"
    except StreamDeliveryNotReadyError as error:
        early = error.code
    if rail == "transfer":
        way, proof = TransferPaymentIntentRail(type=rail, destination=TransferRailDestination(pay_to="0xA")), {
            "transaction_hash": "0x1"
        }
    else:
        way, proof = X402PaymentIntentRail(type=rail, chain="base", token="USDC"), {"payment_header": "hdr"}
    intent = API.create_purchase_payment_intent(bought.id, rail=way, pairing_token=token)
    paid = API.submit_purchase_payment_proof(bought.id, rail=rail, pairing_token=token, **proof)
    return bought.id, [bought.status, early, intent.amount.value, intent.amount.chain, paid.payment_status, paid.delivery_status]


def hand_over(purchase, seller, agent, buyer):
    """What the seller prepares and the buyer fetches."""
    until = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    key = KeyRecipient(
        recipient_id="b1", recipient_type="buyer", algorithm="x25519-sealedbox", public_key_hex="aa", wrapped_key_hex="ee"
    )
    prepared = purchases.prepare_buyer_access(
        CLIENT,
        purchase,
        agent_id=agent.id,
        agent_token=agent.provisioning_token,
        request=PrepareStreamAccessRequest(
            machine_id=seller,
            agent_id=agent.id,
            agent_token=agent.provisioning_token,
            items=(BuyerAccessEntry(schema_version="peaq.stream.buyer-access.v1", chunk_id="c1", buyer=key),),
            delivery=PrepareStreamDelivery(
                mode="p2p",
                transport_id="peaqos-p2p",
                connect=PeaqosP2pConnect(type="peaqos-p2p-url", url="peaqos-p2p://seller?ticket=1", expires_at=until),
            ),
        ),
    )
    got = API.get_purchase_delivery(purchase, buyer.pairing_token)
    same = got.delivery.session_id == prepared.delivery_session.id and got.access[0].buyer == key
    return [prepared.item.status, got.delivery.status, got.delivery.connect.url, same]


def sell(saw, buyer):
    seller = machine("did:peaq:5001")
    agent = API.enroll_machine_agent(seller, EnrollMachineAgentRequest(allowed_provider_keys=("stream",))).item
    listener = Listener()
    socket = connect_control_socket(CLIENT, seller, listener, agent_id=agent.id, agent_token=agent.provisioning_token)
    socket.send({"type": "hello"})
    saw["heard"] = [listener.next(), listener.next()]
    saw["rails"] = [rail.type for rail in API.list_payment_rails()]
    saw["transports"] = [way.transport_id for way in API.list_delivery_transports()]
    listing = offer(seller, agent)
    for rail in ("transfer", "x402"):
        purchase, saw["bought by " + rail] = buy(listing, buyer, rail)
        saw["handed over " + rail] = hand_over(purchase, seller, agent, buyer)
        steps = []
        for kind in ("seller.offline", "seller.ready", "buyer.connected", "delivery.started", "delivery.completed"):
            API.create_purchase_event(purchase, actor=PurchaseEventActor(machine_id=seller), event_type=kind)
            steps.append(API.get_purchase(purchase).status)
        saw["went " + rail] = steps
        saw["heard"] += [listener.next() for _ in range(8)]
    API.revoke_machine_agent(seller, agent.id)
    saw["heard"].append("closed" if "1008" in listener.next() else "something else")


def devices(saw, buyer):
    token, mine = buyer.pairing_token, {"machine_id": buyer.machine_id, "agent_pairing_id": buyer.id}
    services = [s for s in API.list_market_services_all(pairing_token=token) if is_onem2m_service(s)]
    resources = next(s.id for s in services if "list-devices" in s.operations)
    actions = next(s.id for s in services if "execute-action" in s.operations)

    def read(operation, given):
        asked = Onem2mReadRequest(operation=operation, input=given, **mine)
        return API.execute_market_service(resources, asked, token).execution.outcome

    def order(service, operation, given):
        asked = Onem2mCreateOrderRequest(service_id=service, operation=operation, input=given, **mine)
        made = API.create_market_order(asked, token).item
        done = API.execute_market_order(made.id, Onem2mExecuteOrderRequest(), token).execution
        assert API.get_market_order(made.id, pairing_token=token).execution.outcome == done.outcome
        return done.outcome

    def opened(device, command):
        return order(actions, "execute-action", Onem2mExecuteActionInput(device_id=device, command_id=command))

    found, page = [], read("list-devices", Onem2mListDevicesInput(limit=4)).result
    while True:
        found += page.items
        if not page.next_cursor:
            break
        page = read("list-devices", Onem2mListDevicesInput(limit=4, cursor=page.next_cursor)).result
    saw["devices"] = len(found)
    saw["latest"], saw["opened"] = {}, {}
    for device in found:
        assert read("get-device-info", Onem2mGetDeviceInfoInput(device_id=device.id)).result.device == device
        for resource in device.resources[:1] + device.resources[3:]:
            got = read("get-latest-data", Onem2mGetLatestDataInput(device_id=device.id, resource=resource.name))
            code = getattr(got, "error_code", None)
            saw["latest"][device.id + " " + resource.name] = code or got.result.availability
            if code == "ONEM2M_TIMEOUT":
                break  # each one takes its time
        if device.actions:
            got = opened(device.id, "cmd:" + device.id)
            saw["opened"][device.id] = [got.status, got.error_code or "", got.result.status]
    first = opened("iotdev_front_door", "cmd:again").result
    saw["replayed"] = opened("iotdev_front_door", "cmd:again").result == first
    saw["conflict"] = refused(lambda: opened("iotdev_back_door", "cmd:again"))
    listen(saw, buyer, order, resources, opened)


def listen(saw, buyer, order, resources, opened):
    """Two subscriptions and what they stream."""
    machine_id, token = buyer.machine_id, buyer.pairing_token
    leased = [
        order(resources, "subscribe-events", SubscribeEventsInput(device_id=device, resource=resource, ttl_seconds=600)).result
        for device, resource in (("iotdev_back_door", "state"), ("iotdev_front_door", "state"))
    ]
    saw["endpoint"] = leased[0].events_endpoint == f"/api/v1/machines/{machine_id}/iot/events?subscriptionId={leased[0].subscription.id}"
    threading.Timer(0.5, opened, ("iotdev_front_door", "cmd:live")).start()
    frames = []
    with API.stream_iot_events(machine_id, token) as stream:
        while len(frames) < 5:
            frames.append(next(stream))
    saw["streamed"] = [f.event + " " + getattr(f.data, "kind", "") for f in frames]
    saw["live"] = frames[-1].data.sample.value + " by " + frames[-1].data.sample.command_id
    with API.stream_iot_events(machine_id, token, options=IotStreamOptions(last_event_id=frames[2].id)) as stream:
        saw["resumed"] = next(stream).id == frames[3].id

    def lost():
        with API.stream_iot_events(machine_id, token, options=IotStreamOptions(last_event_id="lost")) as stream:
            next(stream)

    saw["lost"] = refused(lost)
    gone = API.delete_iot_subscription(machine_id, leased[0].subscription.id, token).item
    saw["deleted"] = [gone.status, gone.cleanup.status]
    saw["left"] = [s.status for s in API.list_iot_subscriptions(machine_id, token).items]
    threading.Timer(0.5, API.revoke_agent_pairing, (machine_id, buyer.id)).start()
    with API.stream_iot_events(machine_id, token) as stream:
        saw["ended"] = [f.data.error.code for f in stream if f.event == "iot.error"]


def main():
    saw = {}
    buyer = pair(machine("did:peaq:5002"))
    sell(saw, buyer)
    devices(saw, buyer)
    print(json.dumps(saw))


main()
