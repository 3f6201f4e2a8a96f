"""Real clients of memcached and HTTP, through ttguard: exercise.py HOST PORT client|edge [MODULES]

pymemcache (from MODULES, a folder), curl, and Python's own http.client, on one empty store, where clients or ttguard give
the stamps.
"""

import http.client
import shutil
import subprocess
import sys
import time
import urllib.parse

host, port = sys.argv[1], int(sys.argv[2])
# Then what looks like a stamp is some bytes, and what was sent last counts.
is_given = sys.argv[3] == "edge"
sys.path[:0] = sys.argv[4:]

from pymemcache.client.base import Client  # noqa: E402
from pymemcache.exceptions import MemcacheClientError, MemcacheUnknownCommandError  # noqa: E402

base = "http://%s:%d" % (host, port)
now = int(time.time() * 1000)


def stamped(offset, text=""):
    return "%013d%s" % (now + offset, text)


def same(found, wanted):
    assert found == wanted, "%r is not %r" % (found, wanted)


def refused(ask, *arguments):
    try:
        ask(*arguments)
    except MemcacheClientError as error:
        return str(error)
    raise AssertionError("%s%r was not refused" % (ask.__name__, arguments))


def curl(*arguments, given=None, check=True):
    """The body and the status, with these bytes at its standard input."""
    command = ["curl", "--silent", "--show-error", "--max-time", "20", "--write-out", "\n%{http_code}"]
    done = subprocess.run(command + list(arguments), input=given, capture_output=True, check=check)
    body, _, status = done.stdout.rpartition(b"\n")
    return body, int(status)


def memcached():
    client = Client((host, port), connect_timeout=20, timeout=20, default_noreply=False)
    same(client.version(), b"1.1.41")
    same(client.set("plain", "value"), True)
    same(client.get("plain"), b"value")
    same(client.get("none"), None)
    same(client.add("plain", "x"), False)
    same(client.add("new", "x"), True)
    same(client.replace("none", "x"), False)
    same(client.replace("new", "y"), True)
    same(client.append("new", "z"), True)
    same(client.prepend("new", "x"), True)
    same(client.append("none", "z"), False)
    same(client.get_many(["plain", "none", "new"]), {"plain": b"value", "new": b"xyz"})
    same(client.set_many({"a": "1", "b": "2"}), [])
    same(client.incr("a", 41), 42)
    same(client.decr("a", 2), 40)
    same(client.decr("a", 100), 0)
    same(client.incr("none", 1), None)
    same(client.delete("b"), True)
    same(client.delete("b"), False)
    same(client.set("quiet", "1", noreply=True), True)
    same(client.get("quiet"), b"1")
    same(client.delete_many(["a", "quiet"], noreply=True), True)
    same(client.get("quiet"), None)
    large = bytes(range(256)) * 4096
    same(client.set("large", large), True)
    same(client.get("large"), large)
    same(client.stats()[b"curr_items"], 3)
    same(client.set("packet", stamped(0, "PC")), True)
    for late in (client.set, client.replace):
        same(late("packet", stamped(-60000, "PA")), is_given)
        same(client.get("packet"), (stamped(-60000, "PA") if is_given else stamped(0, "PC")).encode())
        same(client.set("packet", stamped(0, "PC")), True)
    if is_given:
        same(client.set("packet", stamped(3600000)), True)
        same(client.set("packet", stamped(0, "PC")), True)
    else:
        assert "future" in refused(client.set, "packet", stamped(3600000))
    # Commands that the server never knew: an error, and the connection is as it was.
    assert "Error" in unknown(client.touch, "packet", 10)
    assert "Error" in unknown(client.cas, "packet", "x", b"1")
    same(client.touch("packet", 10, noreply=True), True)
    same(client.get("packet"), stamped(0, "PC").encode())
    misses = int(client.stats()[b"cmd_get_misses"])
    same(client.get("none"), None)
    same(client.get_many(["none", "packet", "none2"]), {"packet": stamped(0, "PC").encode()})
    stats = client.stats()
    same(int(stats[b"cmd_get_misses"]), misses + 3)
    same(int(stats[b"cmd_get_hits"]), int(stats[b"cmd_get"]) - misses - 3)
    same(client.flush_all(), True)
    same(client.get("packet"), None)
    client.quit()


def unknown(ask, *arguments):
    try:
        ask(*arguments)
    except MemcacheUnknownCommandError as error:
        return type(error).__name__
    raise AssertionError("%s%r was known" % (ask.__name__, arguments))


def http_client():
    connection = http.client.HTTPConnection(host, port, timeout=20)

    def ask(method, key, body=None, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, "/" + urllib.parse.quote(key, safe=""), body, named)
        answer = connection.getresponse()
        return answer.status, answer.read()

    key = "a key/with % and +\u00e9"
    same(ask("GET", key)[0], 404)
    same(ask("PUT", key, "value"), (201, b"Created\n"))
    same(ask("GET", key), (200, b"value"))
    same(ask("HEAD", key), (200, b""))
    same(ask("PUT", key, "x", X_TT_PDMODE="1")[0], 409)
    same(ask("PUT", key, " more", X_TT_PDMODE="2")[0], 201)
    same(ask("GET", key), (200, b"value more"))
    same(ask("PUT", "packet", stamped(0, "PC"))[0], 201)
    same(ask("PUT", "packet", stamped(-60000, "PA")), (201, b"Created\n") if is_given else (409, b"Conflict: stale\n"))
    left = stamped(-60000, "PA") if is_given else stamped(0, "PC")
    same(ask("GET", "packet"), (200, left.encode()))
    form = urllib.parse.urlencode({"0": key, "1": "packet"})
    kind = "application/x-www-form-urlencoded"
    status, body = ask("POST", "", form, X_TT_MNAME="getlist", Content_Type=kind)
    same(status, 200)
    same([value for _, value in urllib.parse.parse_qsl(body.decode())],
         [key, "value more", "packet", left])
    same(ask("DELETE", key)[0], 200)
    same(ask("DELETE", key)[0], 404)
    large = bytes(range(256)) * 8192
    same(ask("PUT", "large", large)[0], 201)
    same(ask("GET", "large"), (200, large))
    connection.request("OPTIONS", "*")
    answer = connection.getresponse()
    same((answer.status, answer.getheader("X-TT-VERSION"), answer.read()), (200, "1.1.41", b""))
    # A body of unknown size is sent in chunks, which the server never understood.
    same(ask("PUT", "chunked", iter([b"a", b"b" * 100000, b"c"]))[0], 201)
    same(ask("GET", "chunked"), (200, b"a" + b"b" * 100000 + b"c"))
    same(ask("PATCH", "chunked", b"x")[0], 501)
    connection.close()


def curl_alone():
    same(curl(base + "/curl"), (b"Not Found\n", 404))
    same(curl("--data-binary", "v1", "--request", "PUT", base + "/curl"), (b"Created\n", 201))
    same(curl(base + "/curl", base + "/curl")[0], b"v1\n200v1")
    same(curl("--http1.0", base + "/curl"), (b"v1", 200))
    same(curl("--head", base + "/curl")[1], 200)
    same(curl("--proxy", base, "http://127.0.0.1/curl"), (b"v1", 200))
    # A name that anybody may own.
    same(curl("--header", "Host: elsewhere", base + "/curl")[1], 403)
    same(curl("--resolve", "elsewhere:%d:%s" % (port, host), "http://elsewhere:%d/curl" % port)[1], 403)
    same(curl("http://localhost:%d/curl" % port), (b"v1", 200))
    # From a pipe, in chunks; and with the body held back until it is asked for.
    same(curl("--upload-file", "-", base + "/piped", given=b"x" * 300000), (b"Created\n", 201))
    same(curl(base + "/piped"), (b"x" * 300000, 200))
    same(curl("--upload-file", "-", base + "/piped", given=b""), (b"Created\n", 201))
    same(curl(base + "/piped"), (b"", 200))
    asking = time.monotonic()
    wait = ["--header", "Expect: 100-continue", "--expect100-timeout", "15"]
    same(curl(*wait, "--data-binary", "v2", "--request", "PUT", base + "/curl"), (b"Created\n", 201))
    assert time.monotonic() - asking < 10, "it was not told to go ahead"
    same(curl(base + "/curl"), (b"v2", 200))
    same(curl("--http2-prior-knowledge", base + "/curl", check=False)[1], 0)
    stale = ["--data-binary", stamped(-60000, "PA"), "--request", "PUT", base + "/packet"]
    same(curl(*stale), (b"Created\n", 201) if is_given else (b"Conflict: stale\n", 409))
    same(curl("--request", "DELETE", base + "/curl"), (b"OK\n", 200))
    same(curl("--header", "X-TT-MNAME: putlist", "--data", "k=k1&v=v1", base + "/"), (b"", 200))
    same(curl(base + "/k1"), (b"v1", 200))
    same(curl("--header", "X-TT-MNAME: vanish", "--data", "", base + "/"), (b"", 200))
    same(curl(base + "/k1"), (b"Not Found\n", 404))


def apache_bench():
    """A client of HTTP/1.0 that wants its connections kept, if it is installed."""
    if shutil.which("ab") is None:
        print("SKIPPED: ab is missing")
        return
    same(curl("--data-binary", "v", "--request", "PUT", base + "/ab")[1], 201)
    command = ["ab", "-k", "-q", "-n", "200", "-c", "4", "-s", "10", base + "/ab"]
    said = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()
    figures = dict(line.split(":", 1) for line in said.splitlines() if ":" in line)
    figures = {name: value.split()[0] for name, value in figures.items() if value.split()}
    wanted = {"Complete requests": "200", "Failed requests": "0", "Keep-Alive requests": "200"}
    same({name: figures[name] for name in wanted}, wanted)


memcached()
http_client()
curl_alone()
apache_bench()
print("pymemcache, http.client, curl, ab: all answered as expected")
