"""A headless Chromium that is controlled over a pipe, without a library or a port."""

import json
import os
import select
import subprocess
import time

_PATIENCE_S = 30


class Browser:
    """A browser of the tests; each page of ``open`` is isolated from the others."""

    def __init__(self, program, profile):
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        options = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={profile}")
        # The browser reads its pipe from 3 and writes to 4: bash puts them there.
        self._process = subprocess.Popen(
            [
                "bash",
                "-c",
                f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}',
                program,
                "--remote-debugging-pipe",
                *options,
            ],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._number = 0
        self._read = b""
        self.events = []

    def close(self):
        self.call("Browser.close")
        os.close(self._out)
        os.close(self._in)
        self._process.wait(_PATIENCE_S)

    def open(self, path, *, width=1200, height=900, dark=False):
        """Open a file in a new page and wait until it has loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        page = Page(self, target, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        page.scheme("dark" if dark else "light")
        page.call("Page.navigate", url=path.as_uri())
        page.wait("Page.loadEventFired")
        return page

    def call(self, method, session=None, **parameters):
        """Send a command to the browser, or to one page, and wait for the response."""
        self._number += 1
        body = {"id": self._number, "method": method, "params": parameters}
        if session:
            body["sessionId"] = session
        os.write(self._out, json.dumps(body).encode() + b"\0")
        number = self._number
        while True:
            message = self.receive()
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]

    def receive(self):
        """Return the next message, and keep the events."""
        deadline = time.monotonic() + _PATIENCE_S
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._in], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"the browser says nothing for {_PATIENCE_S} s"
            part = os.read(self._in, 1 << 16)
            assert part, "the browser has gone"
            self._read += part
        line, _, self._read = self._read.partition(b"\0")
        message = json.loads(line)
        if "method" in message:
            self.events.append(message)
        return message


class Page:
    """One page: its console, its requests, its contents."""

    def __init__(self, browser, target, session):
        self._browser, self._target, self._session = browser, target, session

    def call(self, method, **parameters):
        return self._browser.call(method, self._session, **parameters)

    def close(self):
        self._browser.call("Target.closeTarget", targetId=self._target)

    def events(self, *methods):
        """Return the parameters of every event of these kinds so far."""
        own = [event for event in self._browser.events if event.get("sessionId") == self._session]
        return [event["params"] for event in own if event["method"] in methods]

    def wait(self, method):
        while not self.events(method):
            self._browser.receive()

    def scheme(self, name):
        """Set the preferred colour scheme, ``light`` or ``dark``."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def run(self, script):
        """Run a script in the page and return its value, or that of its promise."""
        done = self.call(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
            allowUnsafeEvalBlockedByCSP=False,
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def press(self, key, code, text=""):
        """Press and release one key."""
        for kind in ("keyDown", "keyUp"):
            shown = {"text": text} if kind == "keyDown" and text else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **shown)

    def write(self, text):
        """Type a text into the focused element."""
        self.call("Input.insertText", text=text)

    def complaints(self):
        """Return the messages of the console, exceptions and policy violations."""
        return self.events("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")

    def requests(self):
        """Return every requested URL."""
        return [event["request"]["url"] for event in self.events("Network.requestWillBeSent")]
