"""What compare and grow measure with: the servers and guards they start, the load, the machine."""

import functools
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from guarded import free_port

ROOT = Path(__file__).resolve().parents[2]
GUARD = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/ttguard"
TICKS = os.sysconf("SC_CLK_TCK")


def fail(text):
    sys.exit(f"tests/scripts/{Path(sys.argv[0]).name}: {text}")


class Machinery:
    """Everything that is started, and ended with this script."""

    def __init__(self):
        server = os.environ.get("TTSERVER") or fail("TTSERVER is not set: the path of a ttserver to compare with")
        self.server = Path(server)
        self.folder = Path(tempfile.mkdtemp(prefix="measuring."))
        # For files that no disk is to slow down.
        self.memory = Path(tempfile.mkdtemp(prefix="measuring.", dir="/dev/shm"))
        self.running = []
        # Ended from outside, it still ends what it started.
        signal.signal(signal.SIGTERM, lambda *_: fail("ended"))

    def run(self, arguments, says, **options):
        log = open(self.folder / f"{len(self.running)}.log", "w+")
        # In a session of its own, as a service is: the scheduler shares out the processors by session, and one that is
        # shared with the client's makes guard and server wait for each other (0.77 of direct instead of 1.16 here).
        process = subprocess.Popen(
            [str(a) for a in arguments], stdout=log, stderr=log, start_new_session=True, **options
        )
        self.running.append(process)
        deadline = time.monotonic() + 30
        while says not in Path(log.name).read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                fail(f"{arguments[0]} does not start:\n{Path(log.name).read_text(errors='replace')}")
            time.sleep(0.02)
        return process.pid

    def tyrant(self, address, *options, binary=None, store="*"):
        binary = binary or self.server
        libraries = dict(os.environ, LD_LIBRARY_PATH=str(binary.parent))
        return self.run([binary, *address, *options, store], "listening started", env=libraries)

    def tyrant_tcp(self, *options, binary=None, store="*"):
        port = free_port()
        return port, self.tyrant(["-host", "127.0.0.1", "-port", str(port)], *options, binary=binary, store=store)

    def guard(self, backend, *options, admin=""):
        port = free_port()
        pid = self.run(
            [GUARD, "serve", "--listen", f"127.0.0.1:{port}", "--admin", admin, "--backend", backend, *options],
            "ttguard: listening",
        )
        return port, pid

    def relay(self, backend_port, *options):
        """The least that a process in between can cost: benches/relay.rs."""
        port = free_port()
        command = [relay_binary(), f"127.0.0.1:{port}", f"127.0.0.1:{backend_port}", *options]
        return port, self.run(command, "relay: listening")

    def haproxy(self, backend_port):
        if shutil.which("haproxy") is None:
            print("installing haproxy: to compare with", file=sys.stderr)
            subprocess.run(["apt-get", "update", "-qq"], check=True)
            subprocess.run(["apt-get", "install", "-y", "-qq", "haproxy"], check=True, stdout=subprocess.DEVNULL)
        port = free_port()
        config = self.folder / "haproxy.cfg"
        config.write_text(
            "global\n  nbthread 1\n  maxconn 4096\ndefaults\n  mode tcp\n  timeout connect 1s\n  timeout client 1h\n"
            f"  timeout server 1h\nlisten tyrant\n  bind 127.0.0.1:{port}\n  server tyrant 127.0.0.1:{backend_port}\n"
        )
        process = subprocess.Popen(["haproxy", "-f", str(config), "-db"], stderr=subprocess.DEVNULL, start_new_session=True)
        self.running.append(process)
        return port, process.pid

    def stop(self):
        for process in reversed(self.running):
            process.send_signal(signal.SIGTERM)
        for process in self.running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        for folder in (self.folder, self.memory):
            shutil.rmtree(folder, ignore_errors=True)


def build():
    subprocess.run(["cargo", "build", "--quiet", "--release"], cwd=ROOT, check=True)


@functools.cache
def relay_binary():
    command = ["cargo", "bench", "--quiet", "--bench", "relay", "--no-run", "--message-format=json"]
    built = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    said = map(json.loads, built.splitlines())
    return next(one["executable"] for one in said if one.get("target", {}).get("name") == "relay")


def bench(address, seconds, *load):
    """One run of `ttguard bench`: what it says of all requests. A wrong answer ends everything."""
    command = [GUARD, "bench", "--target", address, "--json", "--duration", f"{int(seconds * 1000)}ms", *load]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        fail(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)["result"]["all"]


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = model[1] if model else platform.machine()
    return f"{os.cpu_count()} cores of an {name}, Linux {platform.release().split('-')[0]}, {time.strftime('%Y-%m-%d')}"


def write_page(begin, end, text):
    """Puts the text between two marks of the manual's page on performance."""
    page = ROOT / "src/manual/performance.md"
    whole = page.read_text()
    if begin not in whole or end not in whole:
        fail(f"{page} has no place for the text: {begin}")
    head, rest = whole.split(begin, 1)
    page.write_text(f"{head}{begin}\n{text}\n{end}{rest.split(end, 1)[1]}")
