#!/usr/bin/env bash
# Runs the fault table (check/faults) and ends with its count: the short form, or
# the whole one with "whole" as argument. As root with CHECK_INSTALL=1 it installs
# what the rows need; a row that cannot run here prints the reason.
source "$(dirname "$0")/steps.sh"
title="the fault table"
echo "== $title"
missing=()
for p in mkfs.btrfs:btrfs-progs mkfs.xfs:xfsprogs; do
  command -v "${p%%:*}" >/dev/null || missing+=("${p##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  if may_install; then
    echo "   installing the Debian packages ${missing[*]} (CHECK_INSTALL=1)"
    install_packages "${missing[@]}" >/dev/null 2>&1 || echo "   that failed; the rows that need them print the reason"
  else
    echo "   some rows need the Debian packages ${missing[*]}; as root, CHECK_INSTALL=1 installs them"
  fi
fi
build
program=$(mktemp)
trap 'rm -f "$program"' EXIT
go build -o "$program" ./check/faults
# alone: where that is possible in a network namespace of its own, so that no other check
# that looks for servers on loopback disturbs it.
alone() {
  if ! command -v ip >/dev/null || ! unshare -n true 2>/dev/null; then "$@"; return; fi
  # shellcheck disable=SC2016
  unshare -n sh -c 'ip link set lo up && exec "$0" "$@"' "$@"
}
if [ "${1:-}" = whole ]; then
  alone "$program" -agent "$agent" -whole -out "$cache/faults.md"
  echo "The table is in .cache/faults.md"
else
  alone "$program" -agent "$agent"
fi
