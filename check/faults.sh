#!/usr/bin/env bash
# Runs the fault table (check/faults) and ends with its count: the short form, or
# the whole one with "whole" as argument. As root it installs what the rows need;
# a row that cannot run here says why.
source "$(dirname "$0")/steps.sh"
title="the fault table"
echo "== $title"
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  wanted=()
  for p in strace:strace mkfs.btrfs:btrfs-progs mkfs.xfs:xfsprogs; do
    command -v "${p%%:*}" >/dev/null || wanted+=("${p##*:}")
  done
  if [ ${#wanted[@]} -gt 0 ]; then
    echo "   installing ${wanted[*]}"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${wanted[@]}"; } >/dev/null 2>&1 || echo "   that failed; the rows that need them say so"
  fi
fi
build
program=$(mktemp)
trap 'rm -f "$program"' EXIT
go build -o "$program" ./check/faults
if [ "${1:-}" = whole ]; then
  "$program" -agent "$agent" -whole -out "$cache/faults.md"
  echo "The table is in .cache/faults.md"
else
  "$program" -agent "$agent"
fi
