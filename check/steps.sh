# What the checks of this directory share; each one sources it and runs on its own.
#
#   begin "title"            a work directory $work, removed at the end with every process started
#   need PROGRAM PACKAGES    the program is required; as root with CHECK_INSTALL=1, missing Debian packages are installed
#   ok "what" COMMAND…       one step: PASS, or FAIL with what the command printed
#   not "what" COMMAND…      the same for a command that must fail
#   within N "what" COMMAND… ok, tried again for N seconds
#   started NAME COMMAND…    a process in the background, its output in $work/NAME.log
#   start_sandbox, start_runtime, configure, enroll   what an agent needs around it
#   finish                   the count; the exit status

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
top=$PWD
cache=$top/.cache
passed=0 failed=0
pids=() at_end=()

begin() {
  work=$(mktemp -d)
  title=$1
  trap clean_up EXIT
  trap 'exit 130' INT TERM
  echo "== $title"
}

clean_up() {
  local status=$? command pid running
  for command in "${at_end[@]}"; do $command || true; done
  running=$(jobs -pr) # the number of one that ended may be another process by now
  for pid in "${pids[@]}"; do
    grep -qx "$pid" <<<"$running" || continue
    pkill -P "$pid" 2>/dev/null || true # of a function, the shell that runs it was started
    kill "$pid" 2>/dev/null || true
  done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
  exit "$status"
}

finish() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

pass() { passed=$((passed + 1)); echo "PASS $1"; }

# fail WHAT [FILE] prints the last lines of a file, indented.
fail() {
  failed=$((failed + 1))
  echo "FAIL $1"
  if [ -n "${2:-}" ] && [ -s "$2" ]; then tail -n 15 "$2" | sed 's/^/     /'; fi
}

# die ends a check that cannot continue.
die() { fail "$@"; finish; exit 1; }

ok() {
  local what=$1; shift
  if "$@" >"$work/step" 2>&1; then pass "$what"; else fail "$what" "$work/step"; fi
}

not() {
  local what=$1; shift
  if "$@" >"$work/step" 2>&1; then fail "$what" "$work/step"; else pass "$what"; fi
}

within() {
  local limit=$1 what=$2 start=$SECONDS; shift 2
  while ! "$@" >"$work/step" 2>&1; do
    if [ $((SECONDS - start)) -ge "$limit" ]; then fail "$what (not within $limit s)" "$work/step"; return; fi
    sleep 0.2
  done
  pass "$what"
}

# may_install: this run may install Debian packages.
may_install() { [ "${CHECK_INSTALL:-}" = 1 ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; }

install_packages() { # PACKAGE…; another check may be installing at this moment
  mkdir -p "$cache"
  (
    flock 9
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"
  ) 9>"$cache/apt.lock"
}

need() {
  command -v "$1" >/dev/null && return
  if ! may_install; then
    die "$1 is missing: install the Debian packages $2, or run this as root with CHECK_INSTALL=1"
  fi
  echo "   installing the Debian packages $2 (CHECK_INSTALL=1)"
  # shellcheck disable=SC2086
  install_packages $2 >"$work/apt.log" 2>&1 || true
  command -v "$1" >/dev/null || die "$1 is missing, and $2 could not be installed" "$work/apt.log"
}

need_root() { [ "$(id -u)" -eq 0 ] || die "this check needs root"; }

build() { make -s build >/dev/null; agent=$top/bin/peaqos-agent; }

started() {
  local name=$1; shift
  "$@" >"$work/$name.log" 2>&1 &
  pids+=($!)
  last=$!
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# answers CODE URL: the URL responds with that status.
answers() { [ "$(curl -s -o "$work/answer" -w '%{http_code}' --max-time 3 "$2")" = "$1" ] || { cat "$work/answer"; return 1; }; }

# says TEXT COMMAND…: the command succeeds and its output contains the text.
says() {
  local text=$1 out; shift
  out=$("$@" 2>&1) || { echo "$out"; return 1; }
  grep -qF -- "$text" <<<"$out" || { echo "$out"; return 1; }
}

# Throw-away keys; the address is what the controller key signs as. check/lab has the same ones.
constant() { sed -n "s/^\t$1 *= \"\(.*\)\"$/\1/p" "$top/check/lab/lab.go"; }
api_key=$(constant APIKey)
controller_key=$(constant ControllerKey)
controller_address=$(constant ControllerAddress)

write_keys() { # DIRECTORY
  (umask 077; echo "$api_key" >"$1/key"; echo "$controller_key" >"$1/ctl.hex")
}

# api PATH sends a request to the sandbox with the API key.
api() { curl -sf --max-time 3 -H "x-api-key: $api_key" "$orchestrator/api/v1$1"; }

# listens NAME waits for a sandbox that was started under that name; its URL is in $url.
listens() {
  for _ in $(seq 100); do
    url=$(sed -n 's/^listening on //p' "$work/$1.log" 2>/dev/null || true)
    [ -n "$url" ] && return
    sleep 0.1
  done
  die "the $1 does not start" "$work/$1.log"
}

start_sandbox() { # the orchestrator
  write_keys "$work"
  started sandbox "$agent" sandbox --listen 127.0.0.1:0 --api-key-file "$work/key" --controller "$controller_address"
  listens sandbox
  orchestrator=$url
}

start_runtime() { # any server that responds to /health: a second sandbox
  started runtime "$agent" sandbox --listen 127.0.0.1:0
  runtime_pid=$last
  listens runtime
  runtime=$url
}

# config_text ORCHESTRATOR PROVIDER RUNTIME ENDPOINT_KEYS STATE TELEMETRY prints check/lab/config.yaml, filled in.
config_text() {
  local text
  text=$(<"$top/check/lab/config.yaml")
  text=${text//'$ORCHESTRATOR_KEYS'/}
  text=${text//'$KEYSTORE_KEYS'/}
  text=${text//'$ORCHESTRATOR'/"$1"}
  text=${text//'$PROVIDER'/"$2"}
  text=${text//'$RUNTIME'/"$3"}
  text=${text//'$ENDPOINT_KEYS'/"${4:+, $4}"}
  text=${text//'$STATE'/"$5"}
  echo "${text//'$TELEMETRY'/"$6"}"
}

# config_installed prints one with the default store and telemetry address, as in a real installation.
config_installed() {
  config_text http://127.0.0.1:8787 demo http://127.0.0.1:9000 "" "" "" | grep -v -e ^keystore: -e ^telemetry:
  echo 'keystore: {volatile: true}' # for a /tmp in memory
}

# configure PROVIDER URL [KEY: VALUE, …] writes $work/config.yaml; leases are short, so that their end can be seen.
configure() {
  telemetry=127.0.0.1:$(free_port)
  mkdir -p -m 700 "$work/state"
  config_text "$orchestrator" "$1" "$2" "${3:-}" "$work/state" "$telemetry" >"$work/config.yaml"
}

enroll() {
  "$agent" enroll --config "$work/config.yaml" --identity-ref did:peaq:42 \
    --controller-key-file "$work/ctl.hex" --api-key-file "$work/key" --json >"$work/enrolled.json"
  machine=$(jq -r .machine_id "$work/enrolled.json")
}

# endpoint FILTER: the orchestrator's one endpoint satisfies a jq filter.
endpoint() {
  api "/machines/$machine/runtime-endpoints" >"$work/endpoints.json" &&
    jq -e ".items | length == 1 and (.[0] | $1)" "$work/endpoints.json" >/dev/null || { cat "$work/endpoints.json"; return 1; }
}
