"""front.py UPSTREAM PORT DIRECTORY: what is between an agent and its orchestrator.

It forwards HTTP to UPSTREAM and misbehaves as the file DIRECTORY/mode says, which is
read again for each connection and each request. With DIRECTORY/server.pem it speaks TLS;
the certificate is read again for each connection.
"""
import email.utils, gzip, http.client, os, socket, ssl, struct, sys, threading, time

up, port, work = sys.argv[1].split("//")[1], int(sys.argv[2]), sys.argv[3]
contexts = {}


def mode():
    name, _, argument = open(work + "/mode").read().strip().partition(":")
    return name, argument


def response(status, headers, body):
    head = "HTTP/1.1 %s\r\n" % status + "".join("%s: %s\r\n" % h for h in headers)
    return (head + "Content-Length: %d\r\n\r\n" % len(body)).encode("latin1") + body


def tls(c):
    name, argument = mode()
    if name in ("lose-hello", "reset-hello", "lose-all"):
        head = c.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL)
        large = len(head) == 5 and struct.unpack(">H", head[3:])[0] > 1000
        if name == "lose-all" or name == "lose-hello" and large:
            time.sleep(3600)
        if name == "reset-hello" and large:
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return None
    certificate = argument if name == "certificate" else "server"
    key = (name, certificate, os.stat(work + "/%s.pem" % certificate).st_mtime_ns)
    if key not in contexts:  # one for all connections, so that sessions can be resumed
        contexts[key] = new_context(name, certificate)
    return contexts[key].wrap_socket(c, server_side=True)


def new_context(name, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if name == "tls-old":
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
    if name == "tls-rsa":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AES128-SHA")
    if name == "tls-client":
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(work + "/ca.pem")
    context.load_cert_chain(work + "/%s.pem" % certificate, work + "/%s.key" % certificate)
    return context


def page(name, argument):
    """A response that is not the orchestrator's, or None."""
    if name == "status":
        status, _, header = argument.partition("|")
        headers = [("Content-Type", "text/html")] + ([tuple(header.split("=", 1))] if header else [])
        return response(status, headers, b"<html>page</html>")
    if name == "redirect":
        return response("302 Found", [("Location", "https://portal.example/login?token=x")], b"")
    return None


def forward(method, path, headers, body):
    k = http.client.HTTPConnection(up)
    keep = {a: b for a, b in headers.items() if a not in ("host", "content-length", "connection")}
    k.request(method, path, body or None, keep)
    r = k.getresponse()
    data = r.read()
    return "%d %s" % (r.status, r.reason), [h for h in r.getheaders() if h[0].lower() not in ("content-length", "transfer-encoding")], data


def serve(c):
    try:
        if os.path.exists(work + "/server.pem") and mode()[0] != "plain":
            c = tls(c)
            if not c:
                return
        if mode()[0] == "plain":  # as a web server responds to what is not HTTP
            c.recv(4096)
            c.sendall(response("400 Bad Request", [], b""))
            return
        f, last = c.makefile("rb"), time.time()
        while True:
            line, headers = f.readline(), {}
            if not line:
                return
            for h in iter(f.readline, b"\r\n"):
                a, b = h.decode().split(":", 1)
                headers[a.lower()] = b.strip()
            body = f.read(int(headers.get("content-length", 0)))
            method, path, _ = line.decode().split()
            name, argument = mode()
            idle, last = time.time() - last, time.time()
            if name == "drop" or name == "idle" and idle > float(argument):
                return
            if name == "forget" and idle > float(argument):
                time.sleep(3600)
            if name == "silent" and "heartbeat" in path:
                time.sleep(3600)
            other = page(name, argument)
            if other and "heartbeat" in path:
                c.sendall(other)
                continue
            if name == "prefix":
                if not path.startswith(argument):
                    c.sendall(response("404 Not Found", [("Content-Type", "text/html")], b"no route"))
                    continue
                path = path[len(argument):]
            status, out, data = forward(method, path, headers, body)
            if name == "date":
                out = [h for h in out if h[0].lower() != "date"] + [("Date", email.utils.formatdate(time.time() + float(argument), usegmt=True))]
            if name == "gzip" and data:
                data = gzip.compress(data)
                out.append(("Content-Encoding", "gzip"))
            if name == "mark":
                data = b"\xef\xbb\xbf" + data
            if name == "close":
                out.append(("Connection", "close"))
            whole = response(status, out, data)
            c.sendall(whole + whole if name == "twice" else whole)
            last = time.time()
            if name == "close":
                return
    except (OSError, ValueError, ssl.SSLError):
        pass
    finally:
        if c:
            c.close()


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", port))
listener.listen(99)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
