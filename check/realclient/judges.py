"""Judges our signatures, payment headers and chain reads with published libraries.

Reads one JSON document from standard input and writes what the libraries found to
standard output. The first argument says which part: x402, eip191 or abi.
"""

import json
import sys

KEY = "0x" + "11" * 32


def judge_x402(cases):
    """Decodes each header, recovers its signer, and has the client sign each challenge."""
    from eth_account import Account
    from eth_account.messages import encode_typed_data
    from x402 import x402ClientSync
    from x402.http.utils import decode_payment_signature_header
    from x402.mechanisms.evm.exact import ExactEvmScheme
    from x402.schemas import PaymentRequired, PaymentRequiredV1

    client = x402ClientSync()
    for network in ("eip155:8453", "eip155:1", "eip155:3338"):
        client.register(network, ExactEvmScheme(signer=Account.from_key(KEY)))
    for case in cases:
        seen = {"name": case["name"]}
        try:
            challenge = json.loads(case["challenge"])
            model = PaymentRequiredV1 if challenge.get("x402Version") == 1 else PaymentRequired
            required = model.model_validate(challenge)
            client.create_payment_payload(required)
            seen["client"] = "signed"
        except Exception as error:
            seen["client"] = "refused"
            seen["why"] = f"{type(error).__name__}: {error}"[:300]
        if case["header"]:
            try:
                payload = decode_payment_signature_header(case["header"])
                a = payload.payload["authorization"]
                extra, accepted = payload.accepted.extra, payload.accepted
                typed = encode_typed_data(
                    {
                        "name": extra["name"],
                        "version": extra["version"],
                        "chainId": int(accepted.network.split(":")[1]),
                        "verifyingContract": accepted.asset,
                    },
                    {
                        "TransferWithAuthorization": [
                            {"name": "from", "type": "address"},
                            {"name": "to", "type": "address"},
                            {"name": "value", "type": "uint256"},
                            {"name": "validAfter", "type": "uint256"},
                            {"name": "validBefore", "type": "uint256"},
                            {"name": "nonce", "type": "bytes32"},
                        ]
                    },
                    {
                        "from": a["from"],
                        "to": a["to"],
                        "value": int(a["value"]),
                        "validAfter": int(a["validAfter"]),
                        "validBefore": int(a["validBefore"]),
                        "nonce": bytes.fromhex(a["nonce"][2:]),
                    },
                )
                payer = Account.recover_message(typed, signature=payload.payload["signature"])
                same = payload.x402_version == 2 and accepted == required.accepts[0]
                same = same and a["value"] == accepted.amount and a["to"] == accepted.pay_to and a["from"] == payer
                seen["header"] = payer if same else "differs from the challenge"
            except Exception as error:
                seen["header"] = f"{type(error).__name__}: {error}"[:300]
        yield seen


def judge_eip191(messages):
    """Recovers the signer of each message, and signs it."""
    from eth_account import Account
    from eth_account.messages import encode_defunct

    for case in messages:
        message = encode_defunct(bytes.fromhex(case["message"]))
        yield {
            "recovered": Account.recover_message(message, signature=case["signature"]),
            "signed": "0x" + Account.sign_message(message, KEY).signature.hex().removeprefix("0x"),
        }


def judge_abi(machines):
    """Encodes what the contracts return for each machine."""
    from eth_abi import encode

    for m in machines:
        yield {
            "owner": encode(["address"], [m["owner"]]).hex(),
            "controller": encode(["address"], [m["controller"]]).hex(),
            "status": encode(["uint8"], [m["status"]]).hex(),
            "subscription": encode(
                ["uint8", "uint64", "uint64", "uint256", "uint256"],
                [m["tier"], int(m["start"]), int(m["end"]), int(m["bond"]), int(m["points"])],
            ).hex(),
            "available": encode(["bool"], [m["available"]]).hex(),
        }


JUDGES = {"x402": judge_x402, "eip191": judge_eip191, "abi": judge_abi}

json.dump(list(JUDGES[sys.argv[1]](json.load(sys.stdin))), sys.stdout)
