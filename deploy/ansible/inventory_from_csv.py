#!/usr/bin/env python3
"""Writes an Ansible inventory from a spreadsheet that was saved as CSV.

    python3 inventory_from_csv.py robots.csv > inventory.yml
    python3 inventory_from_csv.py --prometheus robots.csv > targets.json

The second form writes the robots' listeners as targets for Prometheus. The first row
names the columns, "Identity ref" like identity_ref, and has the separator of the table:
a comma, semicolon or tab. host and identity_ref are required, address is the address for
ssh, and every other column becomes a variable of the host. Empty rows are left out. A
missing or repeated host or identity_ref is reported with its row, and nothing is written.
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
    header = rows.readline()
    separator = max(",;\t", key=header.count)
    columns = [name.strip().lower().replace(" ", "_") for name in next(csv.reader([header], delimiter=separator), [])]
    while columns and not columns[-1]:
        columns.pop()
    reader = csv.DictReader(rows, columns, restkey="", restval=None, delimiter=separator)
    wrong = [f"there is no column {name}" for name in ("host", "identity_ref") if name not in columns]
    wrong += [f"column {name!r} is not the name of a variable" for name in columns if not VARIABLE.fullmatch(name)]
    wrong += [f"column {name} is there twice" for name in sorted(set(columns)) if columns.count(name) > 1]
    hosts, identities = {}, {}
    if wrong:
        return hosts, wrong
    for row in reader:
        at = f"row {reader.line_num + 1}"
        more = row.pop("", [])
        if not any(value and value.strip() for value in [*row.values(), *more]):
            continue
        if any(value.strip() for value in more) or None in row.values():
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


def inventory(hosts):
    """Returns the inventory as YAML."""
    lines = ["---", "robots:", "  hosts:"]
    for host, variables in hosts.items():
        lines.append(f"    {host}:")
        lines += [f"      {name}: {json.dumps(value)}" for name, value in variables.items()]
    return "\n".join(lines)


def targets(hosts):
    """Returns the file for file_sd_configs of Prometheus."""
    groups = [
        {"targets": [variables.get("ansible_host", host) + ":9757"], "labels": {"robot": host}}
        for host, variables in hosts.items()
    ]
    return json.dumps(groups, indent=2)


def main():
    arguments = sys.argv[1:]
    write = inventory
    if arguments[:1] == ["--prometheus"]:
        write, arguments = targets, arguments[1:]
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.exit("usage: inventory_from_csv.py [--prometheus] FILE.csv")
    try:
        with open(arguments[0], newline="", encoding="utf-8-sig") as file:
            hosts, wrong = read(file)
    except OSError as error:
        sys.exit(f"{arguments[0]}: {error.strerror}")
    except UnicodeDecodeError:
        sys.exit(f"{arguments[0]}: it is not in UTF-8: save it again as CSV UTF-8")
    if wrong:
        sys.exit("\n".join(f"{arguments[0]}: {text}" for text in wrong))
    print(write(hosts))


if __name__ == "__main__":
    main()
