"""wire.py AGENT: the bytes and packets that an agent costs per day at a heartbeat every
60 s, measured on a cable between two network namespaces, at a faster pace.

Counted is what IP counts, in both directions. It needs namespaces of its own
(check/network-wire.sh).
"""
import json, os, subprocess, sys, time

sys.argv = [sys.argv[0], sys.argv[1], "-"]
import table

PER_DAY, BEATS = 24 * 60, 20


def sh(line):
    subprocess.run(line, shell=True, check=True)


def counters():
    out = subprocess.run(["ip", "-s", "-j", "link", "show", "wire0"], check=True, capture_output=True, text=True).stdout
    stats = json.loads(out)[0]["stats64"]
    packets = stats["rx"]["packets"] + stats["tx"]["packets"]
    return stats["rx"]["bytes"] + stats["tx"]["bytes"] - 14 * packets, packets


def measure(peer, name, mode, keys=""):
    w = table.World(host="10.77.0.2", keys=keys, server=("nsenter", "-t", str(peer), "-n"))
    try:
        w.enroll()
        w.start()
        w.online(30)
        w.mode(mode)
        time.sleep(6)  # a session to resume
        start = w.beats()
        while w.beats() == start:
            time.sleep(0.02)
        time.sleep(0.5)
        bytes0, packets0 = counters()
        start = w.beats()[0]
        while w.beats()[0] < start + BEATS:
            time.sleep(0.05)
        time.sleep(0.5)
        bytes1, packets1 = counters()
        each, packets = (bytes1 - bytes0) / BEATS, (packets1 - packets0) / BEATS
        payload = each - packets * 52  # the headers of IP and TCP, with timestamps
        print("| %s | %.0f | %.1f | %.2f | %.2f | %.0f |" % (
            name, each, packets, payload * PER_DAY / 1e6, each * PER_DAY / 1e6, packets * PER_DAY), flush=True)
        return payload * PER_DAY / 1e6, each * PER_DAY / 1e6, packets * PER_DAY
    finally:
        w.close()


def main():
    there = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
    time.sleep(0.5)
    sh("ip link set lo up; ip link add wire0 type veth peer name wire1; ip link set wire1 netns %d" % there.pid)
    sh("ip addr add 10.77.0.1/24 dev wire0; ip link set wire0 up")
    sh("nsenter -t %d -n sh -c 'ip link set lo up; ip addr add 10.77.0.2/24 dev wire1; ip link set wire1 up'" % there.pid)
    # Only the agent's packets are counted: no IPv6, no ARP.
    for name, pid, address, peer in (("wire0", os.getpid(), "10.77.0.2", "wire1"), ("wire1", there.pid, "10.77.0.1", "wire0")):
        other = there.pid if name == "wire0" else os.getpid()
        mac = subprocess.run("nsenter -t %d -n ip -j link show %s" % (other, peer), shell=True, check=True, capture_output=True, text=True).stdout
        sh("nsenter -t %d -n sh -c 'ip addr flush dev %s scope link; ip neigh replace %s lladdr %s dev %s nud permanent'"
           % (pid, name, address, json.loads(mac)[0]["address"], name))
    time.sleep(1)
    print("| connection | bytes per heartbeat | packets per heartbeat | MB per day in TCP | MB per day with headers | packets per day |\n|---|--:|--:|--:|--:|--:|", flush=True)
    kept = measure(there.pid, "kept alive", "pass")
    closed = measure(there.pid, "the server closes each time", "close")
    metered = measure(there.pid, "the same, with network.metered", "close", keys="}\nnetwork: {metered: true")
    there.kill()
    there.wait()
    good = kept[0] <= 1.45 and kept[2] <= 4400 and metered[0] <= 3.6
    sys.exit(not good)


if __name__ == "__main__":
    main()
