"""names.py: name servers on loopback, in a namespace of their own.

127.0.0.2 knows orch.example (127.0.0.1), blocked.example (0.0.0.0) and dead.example
(three addresses where nothing responds, then 127.0.0.1), and nothing else. 127.0.0.3 is
the same, but does not respond to AAAA. 127.0.0.98 does not respond at all.
"""
import socket, struct, threading

KNOWN = {
    "orch.example": ["127.0.0.1"],
    "blocked.example": ["0.0.0.0"],
    "dead.example": ["10.77.9.1", "10.77.9.2", "10.77.9.3", "127.0.0.1"],
}


def serve(address, drop_aaaa=False, dead=False):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 53))
    while True:
        q, peer = s.recvfrom(999)
        if dead:
            continue
        i, labels = 12, []
        while q[i]:
            labels.append(q[i + 1:i + 1 + q[i]].decode("latin1"))
            i += q[i] + 1
        kind = q[i + 2]
        if drop_aaaa and kind == 28:
            continue
        found = KNOWN.get(".".join(labels).lower())
        answers = b""
        if found and kind == 1:
            for a in found:
                answers += b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(a)
        flags = 0x8180 | (0 if found else 3)
        s.sendto(q[:2] + struct.pack(">HHHHH", flags, 1, len(answers) // 16, 0, 0) + q[12:i + 5] + answers, peer)


for args in (("127.0.0.2",), ("127.0.0.3", True), ("127.0.0.98", False, True)):
    threading.Thread(target=serve, args=args).start()
