"""Presence and the opt-in, with the real SDK: it pushes, checks and opts in.

    BASE_URL=http://127.0.0.1:8787 CONTROLLER_KEY=0x... python presence_client.py

Prints one JSON object with what the SDK saw.
"""

import json
import os
import threading
from urllib.parse import urlsplit, urlunsplit

import requests
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_keys import keys
from peaq_os_sdk.monetization import (
    HeartbeatClient,
    HeartbeatConfig,
    MonetizationConfig,
    PresenceCheckRequest,
    check_presence,
    get_monetization,
    opt_in,
    opt_out,
)
from peaq_os_sdk.monetization.signer import Eip191AccountSigner
from peaq_os_sdk.monetization.transport import MonetizationHttpTransport

BASE = os.environ["BASE_URL"]
ACCOUNT = Account.from_key(os.environ["CONTROLLER_KEY"])
PUBLIC = "0x04" + keys.PrivateKey(bytes(ACCOUNT.key)).public_key.to_hex()[2:]


class Signer:
    def sign(self, message, *, cancel=None):
        return "0x" + ACCOUNT.sign_message(encode_defunct(text=message)).signature.hex().removeprefix("0x")


class Sandbox(requests.adapters.HTTPAdapter):
    """Sends what is meant for the fixed host of the deployment to the sandbox."""

    def send(self, request, **kwargs):
        to, path = urlsplit(BASE), urlsplit(request.url)
        request.url = urlunsplit((to.scheme, to.netloc, path.path, path.query, ""))
        return super().send(request, **kwargs)


def seen(**who):
    state = check_presence(PresenceCheckRequest(**who), base_url=BASE)
    return [state.online, state.machine_id, state.public_key == PUBLIC, state.last_heartbeat_at is not None]


def pushed(machine_id):
    """The result of one push of the SDK's own loop."""
    got, results = threading.Event(), []

    def on_result(result):
        results.append([result.accepted, result.online])
        got.set()

    client = HeartbeatClient()
    client.start(
        HeartbeatConfig(
            base_url=BASE, machine_id=machine_id, public_key=PUBLIC, interval_seconds=60, signer=Signer(), on_result=on_result
        )
    )
    got.wait(20)
    client.stop()
    return results


session = requests.Session()
transport = MonetizationHttpTransport(session=session)
session.mount("https://", Sandbox())  # in place of the adapter that the transport has mounted
config = MonetizationConfig(deployment_id="peaq-mainnet", signer=Eip191AccountSigner(ACCOUNT), transport=transport)
saw = {"agent": seen(machine_id="42"), "unknown": seen(machine_id="4711")}
saw["pushed"] = pushed("43")
saw["own"] = seen(machine_id="did:peaq:43")
for name, state in (
    ("before", lambda: get_monetization(config, 43)),
    ("in", lambda: opt_in(config, 43)),
    ("again", lambda: get_monetization(config, "did:peaq:43")),
    ("out", lambda: opt_out(config, 43)),
):
    s = state()
    saw[name] = [str(getattr(s.status, "value", s.status)), s.signer]
print(json.dumps(saw))
