"""The Python SDK's side of the comparison.

Reads one case per line, {"method", "args", "body"}, calls that method of the SDK against a
server that sends the body, and writes one line, {"ok", "code", "error"}.
"""

import base64
import http.server
import json
import os
import sys
import threading

os.environ["DO_NOT_TRACK"] = "1"

from peaq_os_sdk import PeaqosClient
from peaq_os_sdk.orchestration.errors import OrchestrationApiError

body = b""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def respond(self):
        length = int(self.headers.get("content-length") or 0)
        if length:
            self.rfile.read(length)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = respond

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = PeaqosClient(
    rpc_url="http://127.0.0.1:9",  # never called
    private_key="0x" + "11" * 32,
    orchestration_url=f"http://127.0.0.1:{server.server_address[1]}",
    api_key="k",
)
client.session.trust_env = False

for line in sys.stdin:
    case = json.loads(line)
    body = base64.b64decode(case["body"])
    out = {"ok": True, "code": "", "error": ""}
    try:
        getattr(client.orchestration, case["method"])(**case["args"])
    except OrchestrationApiError as error:
        out = {"ok": False, "code": error.code, "error": str(error)[:200]}
    except Exception as error:  # what the SDK lets through: KeyError, TypeError, ...
        out = {"ok": False, "code": "", "error": f"{type(error).__name__}: {error}"[:200]}
    print(json.dumps(out), flush=True)
