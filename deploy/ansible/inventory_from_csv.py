#!/usr/bin/env python3
"""Writes an Ansible inventory from a spreadsheet that was saved as CSV.

    python3 inventory_from_csv.py robots.csv > inventory.yml

The first row names the columns. host and identity_ref are required, address is the
address for ssh, and every other column becomes a variable of the host. A missing or
repeated host or identity_ref is reported with its row, and nothing is written.
"""

import csv
import json
import re
import sys

IDENTITY = re.compile(r"(did:peaq|peaqos:machine):(0|[1-9][0-9]*)|did:peaq:0x[0-9a-fA-F]{40}")
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
VARIABLE = re.compile(r"[a-z_][a-z0-9_]*")


def read(rows):
    """Returns the hosts and a list of everything that is wrong with the rows."""
    reader = csv.DictReader(rows)
    columns = reader.fieldnames or []
    wrong = [f"there is no column {name}" for name in ("host", "identity_ref") if name not in columns]
    wrong += [f"column {name!r} is not the name of a variable" for name in columns if not VARIABLE.fullmatch(name)]
    hosts, identities = {}, {}
    if wrong:
        return hosts, wrong
    for row in reader:
        at = f"row {reader.line_num}"
        if None in row or None in row.values():
            wrong.append(f"{at}: it has not {len(columns)} columns")
            continue
        row = {name: value.strip() for name, value in row.items()}
        if any("{{" in value or "{%" in value for value in row.values()):
            wrong.append(f"{at}: it has {{{{ or {{%, which Ansible would evaluate")
        host, identity = row.pop("host"), row["identity_ref"]
        if not HOST.fullmatch(host):
            wrong.append(f"{at}: {host!r} is not the name of a host")
        if not IDENTITY.fullmatch(identity):
            wrong.append(f"{at}: {identity!r} is not an identity_ref; write it like did:peaq:42")
        if host in hosts:
            wrong.append(f"{at}: host {host} is in the table twice")
        if identity in identities:
            wrong.append(f"{at}: {identity} is also the identity_ref of {identities[identity]}")
        identities[identity] = host
        address = row.pop("address", "")
        if address:
            row["ansible_host"] = address
        hosts[host] = {name: value for name, value in row.items() if value}
    if not hosts and not wrong:
        wrong.append("it has no robots")
    return hosts, wrong


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: inventory_from_csv.py FILE.csv > inventory.yml")
    with open(sys.argv[1], newline="", encoding="utf-8-sig") as file:
        hosts, wrong = read(file)
    if wrong:
        sys.exit("\n".join(f"{sys.argv[1]}: {text}" for text in wrong))
    print("---")
    print("robots:")
    print("  hosts:")
    for host, variables in hosts.items():
        print(f"    {host}:")
        for name, value in variables.items():
            print(f"      {name}: {json.dumps(value)}")


if __name__ == "__main__":
    main()
