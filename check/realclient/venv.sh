#!/usr/bin/env bash
# Makes a Python virtual environment with the published implementations that the tests
# compare ours with, once, and prints the path of its Python.
#
#   venv.sh [DIRECTORY]     default: $PEAQOS_TEST_VENV, else the user's cache directory
set -euo pipefail

# The peaqOS SDK; the x402 client and facilitator; and the libraries whose signatures,
# encodings and WebSocket frames are compared with ours.
packages=(peaq-os-sdk==0.12.1 "x402[evm]==2.25.0" eth-account==0.14.0 eth-abi==6.0.0 websockets==17.4)
dir=${1:-${PEAQOS_TEST_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/peaqos-agent/venv}}
ready=$dir/.ready-$(printf '%s\n' "${packages[@]}" | cksum | cut -d ' ' -f 1)

if [ ! -e "$ready" ]; then
  mkdir -p "$(dirname "$dir")"
  exec 9>"$dir.lock"
  flock 9 # another process may be making it
fi
if [ ! -e "$ready" ]; then
  for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
    "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && break
    python=
  done
  if [ -z "$python" ]; then
    echo "venv.sh: no Python of at least 3.10 with its venv module was found; install python3 and python3-venv" >&2
    exit 1
  fi
  echo "venv.sh: making a virtual environment with ${packages[*]} (once)" >&2
  rm -rf "$dir"
  "$python" -m venv "$dir"
  "$dir/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}" >&2
  touch "$ready"
fi
echo "$dir/bin/python"
