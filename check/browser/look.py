"""Looks at one page in Chromium, as check/browser-pages.sh tells it to.

    look.py --out DIR --name NAME [--refreshed] URL WORD…

The page must contain each WORD in its visible text. It is looked at 1280 and 390 pixels
wide, light and dark: a screenshot of each is written to DIR, nothing may be cut off at the
side, and every text must have a contrast of 4.5 to 1 with what is behind it. The
accessibility tree must have the landmarks and headings of a page, names for links, and
header cells for tables. An error of the page, such as a rejected style, fails as well.
With --refreshed its script must have brought something new first.

Chromium is driven over its pipe, so that no library is needed.
"""

import argparse
import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

CONTRAST = r"""
(() => {
  const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return [m[0], m[1], m[2], m.length > 3 ? m[3] : 1]; };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { const layers = [];
    for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); layers.push(c); if (c[3] === 1) break; }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]); };
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let checked = 0;
  for (let n; n = walker.nextNode();) {
    const e = n.parentElement, text = n.data.trim();
    if (!text || !e.checkVisibility() || ["SCRIPT", "STYLE", "NOSCRIPT"].includes(e.tagName)) continue;
    const ground = behind(e), ink = over(parse(getComputedStyle(e).color), ground);
    const [a, b] = [light(ink.slice(0, 3)), light(ground.slice(0, 3))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    checked++;
    if (ratio < 4.5) found.push(ratio.toFixed(2) + " " + text.slice(0, 40));
  }
  return JSON.stringify({ checked, found, wide: document.documentElement.scrollWidth, screen: innerWidth,
    title: document.title, lang: document.documentElement.lang, text: document.body.innerText });
})()
"""


class Browser:
    """Chromium on a pipe: one JSON message after the other, each ended by a zero byte."""

    def __init__(self, profile):
        to_browser, self.write_end = os.pipe()
        self.read_end, from_browser = os.pipe()

        def pipes():
            os.dup2(to_browser, 103)
            os.dup2(from_browser, 104)
            os.dup2(103, 3)
            os.dup2(104, 4)

        self.process = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--hide-scrollbars", f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"],
            preexec_fn=pipes, pass_fds=(3, 4), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer, self.number, self.events, self.session = b"", 0, [], None

    def message(self, deadline):
        while b"\0" not in self.buffer:
            if time.monotonic() > deadline:
                raise TimeoutError("Chromium does not respond")
            part = os.read(self.read_end, 1 << 20)
            if not part:
                raise EOFError("Chromium ended")
            self.buffer += part
        raw, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(raw)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 60
        while True:
            reply = self.message(deadline)
            if reply.get("id") == self.number:
                if "error" in reply:
                    raise RuntimeError(f"{method}: {reply['error']}")
                return reply["result"]
            self.events.append(reply)

    def wait_for(self, event):
        deadline = time.monotonic() + 60
        while True:
            for i, e in enumerate(self.events):
                if e.get("method") == event:
                    return self.events.pop(i)
            self.events.append(self.message(deadline))

    def close(self):
        self.session = None
        try:
            self.call("Browser.close")
            self.process.wait(timeout=10)
        except (OSError, EOFError, TimeoutError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()


def tree_faults(nodes):
    """What is wrong with an accessibility tree."""
    faults = []
    by_id = {n["nodeId"]: n for n in nodes}
    shown = [n for n in nodes if not n.get("ignored")]
    role = lambda n: n.get("role", {}).get("value", "")
    name = lambda n: (n.get("name", {}).get("value") or "").strip()
    level = lambda n: next((p["value"]["value"] for p in n.get("properties", []) if p["name"] == "level"), 0)

    def below(n):
        for i in n.get("childIds", []):
            if i in by_id:
                yield by_id[i]
                yield from below(by_id[i])

    for landmark in ("banner", "main"):
        count = sum(role(n) == landmark for n in shown)
        if count != 1:
            faults.append(f"{count} landmarks {landmark}, want 1")
    levels = [level(n) for n in below(nodes[0]) if role(n) == "heading" and not n.get("ignored")]
    if levels.count(1) != 1 or levels[:1] != [1]:
        faults.append(f"the headings have the levels {levels}: the first one and no other must be 1")
    if any(after > before + 1 for before, after in zip(levels, levels[1:])):
        faults.append(f"the headings have the levels {levels}: one is left out")
    for n in shown:
        if role(n) in ("link", "heading", "region", "navigation", "img", "image", "meter", "button") and not name(n):
            faults.append(f"a {role(n)} has no name")
        if role(n) in ("table", "LayoutTable"):
            roles = [role(m) for m in below(n)]
            if role(n) != "table" or roles.count("columnheader") < 2 or not roles.count("cell"):
                faults.append(f"a table has {roles.count('columnheader')} column headers and {roles.count('cell')} cells")
            if not name(n):
                faults.append("a table has no name")
    return faults


def look(browser, url, name, out, words, refreshed):
    faults = []
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Accessibility"):
        browser.call(f"{domain}.enable")
    browser.call("Page.navigate", url=url)
    browser.wait_for("Page.loadEventFired")
    if refreshed:  # the page's script brings what changes, without an error
        footer = lambda: browser.call("Runtime.evaluate", expression="document.querySelector('footer').innerText")["result"]["value"]
        first, deadline = footer(), time.monotonic() + 15
        while footer() == first and time.monotonic() < deadline:
            time.sleep(0.2)
        stale = browser.call("Runtime.evaluate", expression="document.body.classList.contains('stale')")["result"]["value"]
        if footer() == first or stale:
            faults.append(f"the script does not refresh the page (stale: {stale})")
    text = ""
    for scheme in ("light", "dark"):
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        for width in (1280, 390):
            browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600)
            seen = json.loads(browser.call("Runtime.evaluate", expression=CONTRAST)["result"]["value"])
            where = f"{scheme}, {width} pixels"
            if seen["checked"] < 5:
                faults.append(f"{where}: only {seen['checked']} texts were found")
            faults += [f"{where}: contrast {f}" for f in seen["found"]]
            if seen["wide"] > seen["screen"]:
                faults.append(f"{where}: the page is {seen['wide']} pixels wide")
            if not seen["title"] or not seen["lang"]:
                faults.append(f"{where}: the page has no title or language")
            faults += [f"{where}: {f}" for f in tree_faults(browser.call("Accessibility.getFullAXTree")["nodes"])]
            image = browser.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
            path = pathlib.Path(out) / f"{name}-{width}-{scheme}.png"
            path.write_bytes(base64.b64decode(image))
            if path.stat().st_size < 5000:
                faults.append(f"{where}: the screenshot is empty")
            text = seen["title"] + "\n" + seen["text"]
    faults += [f"the page does not contain: {w}" for w in words if w.lower() not in text.lower()]
    for e in browser.events:
        if e.get("method") == "Runtime.exceptionThrown":
            faults.append("the script failed: " + e["params"]["exceptionDetails"].get("text", ""))
        if e.get("method") == "Log.entryAdded" and e["params"]["entry"]["level"] == "error":
            faults.append("error of the page: " + e["params"]["entry"]["text"])
    return sorted(set(faults)), text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--refreshed", action="store_true")
    parser.add_argument("url")
    parser.add_argument("words", nargs="*")
    args = parser.parse_args()
    # Chromium's own processes may still write while the directory is removed.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(profile)
        try:
            faults, text = look(browser, args.url, args.name, args.out, args.words, args.refreshed)
        finally:
            browser.close()
    if faults:
        print(text)
        print("\n".join(faults))
        sys.exit(1)


if __name__ == "__main__":
    main()
