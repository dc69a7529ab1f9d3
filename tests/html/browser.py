# SPDX-License-Identifier: MIT
"""A headless Chromium on two pipes: pages opened, asked, clicked and looked at.

The protocol is what the browser's own developer tools speak, one JSON object and a NUL
each way.  Whatever a page complains of, asks for, or opens is kept, so that a test can
say that there was nothing.  The browser is ended by its word, or by its pid.
"""
import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time

# Where nobody may look a name up, nothing can be fetched.
FLAGS = [
    "--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--no-default-browser-check", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--mute-audio",
    "--disable-features=Translate,OptimizationHints,MediaRouter", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--force-color-profile=srgb",
    "--font-render-hinting=none",
]

# Runs before the page's own scripts, and tells what the policy has stopped.
WATCH = """
window.refused = [];
document.addEventListener("securitypolicyviolation", e =>
    window.refused.push(e.violatedDirective + " " + e.blockedURI));
"""


class BrowserError(Exception):
    pass


def browser_program():
    return shutil.which("chromium") or shutil.which("chromium-headless-shell")


def pipe_high():
    """A pipe whose ends are not 3 or 4, which the browser's shall be."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high


class Browser:
    def __init__(self, home, patience=60):
        ours_in, theirs_out = pipe_high()
        theirs_in, ours_out = pipe_high()
        flags = FLAGS + ["--user-data-dir=" + os.path.join(home, "profile")]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")

        def pipes():
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        with open(os.path.join(home, "browser.log"), "wb") as log:
            # HOME: what it writes beside its profile goes there, too.  Every other
            # descriptor of Python's closes by itself.
            self.process = subprocess.Popen(
                [browser_program(), *flags, "about:blank"], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, close_fds=False,
                preexec_fn=pipes, env={**os.environ, "HOME": home})
        os.close(theirs_in)
        os.close(theirs_out)
        self.reads, self.writes = ours_in, ours_out
        self.patience, self.last, self.rest = patience, 0, b""
        self.pages = {}

    def _receive(self, deadline):
        while b"\0" not in self.rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.reads], [], [], left)[0]:
                raise BrowserError("no answer within %d s" % self.patience)
            got = os.read(self.reads, 1 << 20)
            if not got:
                raise BrowserError("the browser has gone")
            self.rest += got
        line, self.rest = self.rest.split(b"\0", 1)
        return json.loads(line)

    def call(self, method, session=None, **params):
        self.last += 1
        wanted = self.last
        message = {"id": wanted, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.writes, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + self.patience
        while True:
            answer = self._receive(deadline)
            if answer.get("id") == wanted:
                if "error" in answer:
                    raise BrowserError("%s: %s" % (method, answer["error"]["message"]))
                return answer["result"]
            page = self.pages.get(answer.get("sessionId"))
            if page and "method" in answer:
                page.told(answer["method"], answer["params"])

    def close(self):
        try:
            self.call("Browser.close")
            self.process.wait(10)
        except (BrowserError, OSError, subprocess.TimeoutExpired):
            # Its own session: the group is the browser and what it started.
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.reads)
        os.close(self.writes)


class Page:
    """One window: size in CSS pixels, "light" or "dark"."""

    def __init__(self, browser, width=1200, height=900, scheme="light", mobile=False):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target,
                                    flatten=True)["sessionId"]
        browser.pages[self.session] = self
        self.complaints, self.requests, self.dialogs = [], [], []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=mobile)
        self.scheme(scheme)

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)
        del self.browser.pages[self.session]

    def told(self, method, params):
        if method == "Runtime.consoleAPICalled":
            self.complaints.append("console: %s" % params["args"])
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append("exception: %s" % details.get("exception", details))
        elif method == "Log.entryAdded":
            self.complaints.append("log: %s" % params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(params["message"])
            # Nothing else is answered while it stands there.
            self.call("Page.handleJavaScriptDialog", accept=False)

    def scheme(self, scheme):
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme}])

    def open(self, path, ready="document.documentElement?.dataset.ready", value="true"):
        url = "file://" + os.path.abspath(path)
        failed = self.call("Page.navigate", url=url).get("errorText")
        if failed:
            raise BrowserError("%s: %s" % (url, failed))
        deadline = time.monotonic() + 30
        while self.ask("location.href") != url or self.ask(ready) != value:
            if time.monotonic() > deadline:
                raise BrowserError("%s is not ready: %s" % (path, self.complaints))
            time.sleep(.02)

    def ask(self, expression):
        """The value of it, as JSON knows it."""
        got = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                        awaitPromise=True)
        if "exceptionDetails" in got:
            raise BrowserError("%s: %s" % (expression, got["exceptionDetails"]))
        return got["result"].get("value")

    def drawn(self):
        """After this what was asked for is on the screen."""
        self.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def move(self, x, y):
        self.mouse("mouseMoved", x, y)

    def drag(self, x0, y0, x1, y1):
        self.mouse("mouseMoved", x0, y0)
        self.mouse("mousePressed", x0, y0, button="left", buttons=1, clickCount=1)
        self.mouse("mouseMoved", (x0 + x1) / 2, (y0 + y1) / 2, button="left", buttons=1)
        self.mouse("mouseMoved", x1, y1, button="left", buttons=1)
        self.mouse("mouseReleased", x1, y1, button="left", clickCount=1)

    def click(self, x, y, count=1):
        self.mouse("mouseMoved", x, y)
        for n in range(1, count + 1):
            self.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=n)
            self.mouse("mouseReleased", x, y, button="left", clickCount=n)

    def tap(self, x, y):
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def key(self, key):
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def picture(self, path, **clip):
        more = {"clip": {"scale": 1, **clip}, "captureBeyondViewport": True} if clip else {}
        got = self.call("Page.captureScreenshot", format="png", **more)
        with open(path, "wb") as f:
            f.write(base64.b64decode(got["data"]))
