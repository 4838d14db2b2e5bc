"""Signs the payment headers of x402-forms.json and judges them as the published facilitator does.

Reads FORMS (a file: a list of forms, each with the terms of its own challenge) and prints, for
each form, the header and whether the facilitator of the library accepts it.
"""

import base64
import json
import os
import re
import time

from eth_account import Account
from x402.http.utils import decode_payment_signature_header
from x402.mechanisms.evm.exact.facilitator import ExactEvmScheme
from x402.schemas import PaymentPayload, PaymentRequirements

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
PAYER = Account.from_key("0x" + "61" * 32)
OTHER = Account.from_key("0x" + "22" * 32)
TYPES = {
    "TransferWithAuthorization": [
        {"name": "from", "type": "address"}, {"name": "to", "type": "address"}, {"name": "value", "type": "uint256"},
        {"name": "validAfter", "type": "uint256"}, {"name": "validBefore", "type": "uint256"}, {"name": "nonce", "type": "bytes32"},
    ]
}


class Chain:
    """A chain without contracts, on which every transfer succeeds."""

    def get_addresses(self):
        return [OTHER.address]

    def get_code(self, address):
        return b"\x60" if address.lower() == USDC else b""

    def read_contract(self, *args, **kwargs):
        return True

    def __getattr__(self, name):
        raise AssertionError(f"the facilitator needs {name}")


USDC = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913"


def authorization(form, terms):
    now = int(time.time())
    a = {
        "from": PAYER.address, "to": terms["payTo"], "value": terms["amount"], "validAfter": "0",
        "validBefore": str(now + 600), "nonce": "0x" + form["nonce"],
    }
    for name, v in (form.get("auth") or {}).items():
        if v.startswith("+"):
            v = str(now + int(v[1:]))
        elif v == "lower":
            v = a[name].lower()
        a[name] = v
    return a


def sign(form, terms, a):
    how = form.get("signature")
    domain = {
        "name": terms["extra"]["name"], "version": terms["extra"]["version"], "chainId": int(terms["network"].split(":")[1]),
        "verifyingContract": terms["asset"],
    }
    message = {**a, **{k: int(a[k]) for k in ("value", "validAfter", "validBefore")}, "nonce": bytes.fromhex(a["nonce"][2:])}
    key = OTHER if how == "other" else PAYER
    s = key.sign_typed_data(domain, TYPES, message).signature
    if how == "64":
        s = s[:64]
    elif how == "66":
        s = s + b"\x00"
    elif how == "v":
        s = s[:64] + bytes([s[64] - 27])
    elif how == "highS":
        s = s[:32] + (ORDER - int.from_bytes(s[32:64], "big")).to_bytes(32, "big") + bytes([55 - s[64]])
    return "0x" + s.hex()


def header(form, terms):
    a = authorization(form, terms)
    payload = {"x402Version": 2, "accepted": terms, "payload": {"authorization": a, "signature": sign(form, terms, a)}}
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    if form.get("replace"):
        changed = text.replace(*form["replace"], 1)
        assert changed != text, form
        text = changed
    text += form.get("append") or ""
    value = base64.b64encode(text.encode()).decode()
    return {
        "lf": value[:76] + "\n" + value[76:], "crlf": value + "\r\n", "space": " " + value,
        "garbage": base64.b64encode(b"garbage").decode(),
    }.get(form.get("header"), value)


def verdict(value, terms):
    try:
        payload = decode_payment_signature_header(value)
        if not isinstance(payload, PaymentPayload):
            return "refuses", "not version 2"
        answer = ExactEvmScheme(Chain()).verify(payload, PaymentRequirements.model_validate(terms))
    except AssertionError:
        raise
    except Exception as e:
        return "refuses", re.sub(r"\s+", " ", f"{type(e).__name__}: {e}")[:200]
    return ("accepts", "") if answer.is_valid else ("refuses", answer.invalid_reason)


def main():
    with open(os.environ["FORMS"]) as f:
        forms = json.load(f)
    out = {}
    for form in forms:
        value = header(form, form["terms"])
        judged, reason = verdict(value, form["terms"])
        out[form["form"]] = {"header": value, "facilitator": judged, "reason": reason}
    print(json.dumps(out))


main()
