#!/bin/sh
# Before an installation on Alpine: makes the user of the service, as OpenRC has no
# dynamic ones.
set -e

if ! id peaqos-agent >/dev/null 2>&1; then
  addgroup -S peaqos-agent 2>/dev/null || true
  adduser -S -D -H -h /var/lib/peaqos-agent -s /sbin/nologin -G peaqos-agent -g peaqos-agent peaqos-agent
fi
