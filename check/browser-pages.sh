#!/usr/bin/env bash
# Loads the agent's page and the sandbox's page in a real browser, checks the text
# that a person should read there, and keeps screenshots in .cache/screenshots.
source "$(dirname "$0")/steps.sh"
begin "the pages in a real browser"
need chromium "chromium fonts-dejavu-core"
need curl curl
need jq jq
build

start_sandbox
start_runtime
configure demo "$runtime"
started run "$agent" run --config "$work/config.yaml"
within 10 "the agent responds" answers 503 "http://$telemetry/readyz"

mkdir -p "$cache/screenshots"
browser() {
  timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
    --user-data-dir="$work/profile" --window-size=1000,800 --virtual-time-budget=2000 "$@" 2>"$work/browser.log"
}
# text URL: the visible text, after the page's script has run; errors of the page
# (a broken script, a rejected style) are failures.
text() {
  browser --enable-logging=stderr --dump-dom "$1" >"$work/page.html" || { cat "$work/browser.log"; return 1; }
  if grep -E 'CONSOLE.*(Uncaught|Refused|SyntaxError|Content Security Policy)' "$work/browser.log"; then return 1; fi
  sed -e 's/<style[^>]*>.*<\/style>//; s/<[^>]*>/ /g' "$work/page.html"
}
page_says() { # URL WORD…
  local url=$1 word; shift
  text "$url" >"$work/text" || { cat "$work/text"; return 1; }
  for word in "$@"; do grep -qiF -- "$word" "$work/text" || { echo "the page does not contain: $word"; cat "$work/text"; return 1; }; done
}
screenshot() { # NAME URL
  browser --screenshot="$cache/screenshots/$1.png" "$2" && [ "$(stat -c %s "$cache/screenshots/$1.png")" -gt 5000 ]
}

ok "unenrolled: the agent's page shows the state and the next command" page_says "http://$telemetry/" unenrolled "peaqos-agent enroll"
ok "screenshot" screenshot agent-unenrolled "http://$telemetry/"
enroll
within 15 "the agent is live" answers 200 "http://$telemetry/readyz"
ok "online: the agent's page names machine, endpoint and orchestrator" page_says "http://$telemetry/" online "$machine" demo "$orchestrator"
ok "screenshot" screenshot agent-online "http://$telemetry/"
ok "the sandbox's page shows machine, agent and endpoint" \
  page_says "$orchestrator/" "$machine" "did:peaq:42" "$(jq -r .agent_id "$work/enrolled.json")" active demo
ok "screenshot" screenshot sandbox "$orchestrator/"

kill "$runtime_pid"
within 15 "the runtime is stopped" answers 503 "http://$telemetry/readyz"
ok "idle: the agent's page shows the reason" page_says "http://$telemetry/" idle demo
ok "screenshot" screenshot agent-idle "http://$telemetry/"
echo "   the screenshots are in .cache/screenshots"
finish
