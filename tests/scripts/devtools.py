"""Chromium without a window, driven over the pipe of its DevTools protocol: messages of JSON, each ended by a zero."""

import base64
import json
import os
import subprocess
import tempfile

from guarded import PATIENCE, until

CHROMIUM = os.environ.get("CHROMIUM", "chromium")


class Browser:
    def __init__(self):
        self.home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        (read_commands, self.commands), (self.answers, write_answers) = os.pipe(), os.pipe()

        def take_pipes():
            # The browser reads descriptor 3 and writes descriptor 4, whatever numbers these have here.
            commands, answers = os.dup(read_commands), os.dup(write_answers)
            os.dup2(commands, 3)
            os.dup2(answers, 4)

        flags = ["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--disable-extensions",
                 "--disable-dev-shm-usage", "--disable-background-networking", f"--user-data-dir={self.home.name}"]
        if os.getuid() == 0:
            # Root has no sandbox to go into; the only page that is opened is our own.
            flags.append("--no-sandbox")
        self.process = subprocess.Popen([CHROMIUM, *flags], preexec_fn=take_pipes, close_fds=False,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(read_commands)
        os.close(write_answers)
        self.input = b""
        self.number = 0
        self.listeners = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.home.cleanup()

    def post(self, method, session=None, **parameters):
        """One command whose result nobody waits for; its number."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        return self.number

    def call(self, method, session=None, **parameters):
        """One command, and its result; events that come meanwhile go to whoever listens."""
        number = self.post(method, session, **parameters)
        while True:
            answer = self.receive()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            for listener in self.listeners:
                listener(answer)

    def receive(self):
        while b"\0" not in self.input:
            read = os.read(self.answers, 1 << 16)
            if not read:
                raise RuntimeError("the browser has ended")
            self.input += read
        message, self.input = self.input.split(b"\0", 1)
        return json.loads(message)

    def open(self, address, login=None):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, session, address, login)


class Page:
    def __init__(self, browser, session, address, login=None):
        """`login` is the name and the password that are typed when the browser first asks for them, and only then."""
        self.browser, self.session, self.complaints, self.login = browser, session, [], login
        browser.listeners.append(self.listen)
        for domain in ["Page", "Runtime", "Log"]:
            self.call(f"{domain}.enable")
        if login:
            self.call("Fetch.enable", handleAuthRequests=True, patterns=[{"urlPattern": "*"}])
        self.call("Page.navigate", url=address)

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def listen(self, event):
        """Errors of scripts, and what the browser's own log says: what the page's policy has kept out, for one."""
        if event.get("sessionId") == self.session:
            self.go_on(event)
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(event["params"]["exceptionDetails"]["text"])
        if event.get("method") == "Log.entryAdded" and "favicon" not in event["params"]["entry"].get("url", ""):
            self.complaints.append(event["params"]["entry"]["text"])

    def go_on(self, event):
        """Answers the browser where it waits to be told whether a request may go, or who asks."""
        if event.get("method") == "Fetch.requestPaused":
            self.browser.post("Fetch.continueRequest", self.session, requestId=event["params"]["requestId"])
        if event.get("method") == "Fetch.authRequired":
            answer = {"response": "CancelAuth"}
            if self.login:
                name, password = self.login
                answer = {"response": "ProvideCredentials", "username": name, "password": password}
            self.login = None
            self.browser.post("Fetch.continueWithAuth", self.session, requestId=event["params"]["requestId"],
                              authChallengeResponse=answer)

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def text(self):
        """What a person reads."""
        return self.evaluate("document.body?.innerText ?? ''")

    def rows(self, selector):
        cells = f"[...document.querySelectorAll('{selector}')].map(row => [...row.cells].map(cell => cell.innerText))"
        return self.evaluate(cells)

    def click(self, selector):
        self.evaluate(f"document.querySelector('{selector}').click()")

    def fresh(self):
        """Waits until the page has asked for everything once more, from beginning to end."""
        read = "document.body?.dataset.fresh ?? ''"
        # What is under way may have begun before this call; what comes after it has not.
        for _ in range(2):
            before = self.evaluate(read)
            until("fresh figures", lambda: self.evaluate(read) not in ("", before))

    def view(self, width, scheme):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path):
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture["data"]))
