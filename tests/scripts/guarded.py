"""ttguard as a process of its own, for the tests that need other programs beside it."""

import json
import os
import re
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

BINARY = os.environ.get("TTGUARD", str(Path(__file__).resolve().parents[2] / "target/debug/ttguard"))
PATIENCE = 60


def free_port():
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, condition, pause=0.1):
    """Waits until the condition holds; returns what it gave."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come in {PATIENCE} s")
        time.sleep(pause)


class Guarded:
    """Listens on free ports; `settings` is the text of its file, `environment` what its own has beside ours."""

    def __init__(self, settings="", backend="memory:", claim=False, environment=None):
        self.folder = tempfile.TemporaryDirectory()
        file = Path(self.folder.name) / "ttguard.toml"
        file.write_text(settings)
        self.errors = open(Path(self.folder.name) / "log", "w+")
        command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--backend", backend]
        # What stands behind is mostly another ttguard here, where no client keeps a claim.
        command += [f"--claim={str(claim).lower()}", "--config", file]
        environment = {**os.environ, **(environment or {})}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors, text=True, env=environment)
        line = self.process.stdout.readline()
        found = re.search(r"listening on 127\.0\.0\.1:(\d+),.* admin (http://[\d.:]+)", line)
        if found is None:
            self.stop()
            raise RuntimeError(f"ttguard is not ready: {line!r} {self.log()}")
        self.port, self.admin = int(found[1]), found[2]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)

    def log(self):
        return Path(self.errors.name).read_text()

    def page(self, path):
        with urllib.request.urlopen(self.admin + path, timeout=PATIENCE) as answer:
            return answer.read().decode()

    def json(self, path):
        return json.loads(self.page(path))

    def bench(self, *flags):
        """Load on this ttguard, as a process that the caller ends."""
        command = [BINARY, "bench", "--target", f"127.0.0.1:{self.port}", *flags]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
