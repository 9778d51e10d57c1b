#!/usr/bin/python3 -I
"""An `opencode serve` that no client uses, for gateway-reaper, kind "command".

    table = ["/path/opencode.py", "table", "http://127.0.0.1:4096"]
    reap = ["/path/opencode.py", "reap", "http://127.0.0.1:4096"]
    environment = ["OPENCODE_SERVER_PASSWORD"]

The server's instance is the session, and only while it holds processes: language servers, MCP servers, terminals. One that holds none isn't
asked anything, because a question would load it again. It is detached when no client is connected to the server's port, in a turn while any
of its sessions is busy, and waiting while one asks for a permission or an answer. It is closed by POST /instance/dispose, which ends those
processes and keeps all sessions; the next client loads it again. Nothing is ever deleted.

opencode has no conditional close: between the last look, directly before it, and the close a client may come. It then loads the instance anew.
"""

import base64
import json
import os
import socket
import sys
import urllib.parse
import urllib.request

ESTABLISHED, LISTEN = "01", "0A"


def fail(words):
    print(words, file=sys.stderr)
    sys.exit(1)


def ask(url, path, method="GET"):
    request = urllib.request.Request(url + path, method=method)
    password = os.environ.get("OPENCODE_SERVER_PASSWORD")
    if password:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"opencode:{password}".encode()).decode())
    with urllib.request.urlopen(request, timeout=4) as answer:
        return json.load(answer)


def sockets(port):
    """The inode of what listens at this port, and how many clients are connected to it."""
    listener, clients = None, 0
    for table in ("tcp", "tcp6"):
        try:
            with open(f"/proc/net/{table}") as file:
                lines = file.read().splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split()
            if int(fields[1].rsplit(":", 1)[1], 16) == port:
                listener = fields[9] if fields[3] == LISTEN else listener
                clients += fields[3] == ESTABLISHED
    if listener is None:
        fail(f"nothing listens at port {port}")
    return listener, clients


def holder(inode):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        if f"socket:[{inode}]" in links:
            return int(pid)
    return fail("the process that listens there can't be seen from here")


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as file:
            found += file.read().split()
    return found


def look(url):
    address = urllib.parse.urlsplit(url)
    listener, clients = sockets(address.port)
    pid = holder(listener)
    with open(f"/proc/{pid}/stat") as file:
        started = file.read().rsplit(")", 1)[1].split()[19]
    gateway = {"pid": pid, "instance": f"{pid} {started}"}
    held = children(pid)
    if not held:
        return gateway, []
    busy = [status for status in ask(url, "/session/status").values() if status["type"] != "idle"]
    asks = ask(url, "/permission") + ask(url, "/question")
    updated = max((session["time"]["updated"] for session in ask(url, "/session")), default=0)
    row = {
        "id": address.netloc,
        "transport": "attached" if clients else "detached",
        "turn": "running" if busy else "waiting" if asks else "idle",
        "activity": f"{updated} {sorted(held, key=int)}",
        "worker": None,
    }
    return gateway, [row]


def say(outcome, reason=None):
    print(json.dumps({"outcome": outcome, **({"reason": reason} if reason else {})}))


verb, url, *rest = sys.argv[1:]
url = url.rstrip("/")
try:
    gateway, rows = look(url)
    if verb == "table":
        print(json.dumps({"version": 1, "gateway": gateway, "sessions": rows}))
    elif verb == "reap" and len(rest) == 1:
        row = next((row for row in rows if row["id"] == rest[0]), None)
        if row is None:
            say("gone")
        elif gateway["instance"] != os.environ.get("GATEWAY_REAPER_INSTANCE"):
            say("kept", "instance")
        elif row["transport"] != "detached" or row["turn"] != "idle":
            say("kept", "attached" if row["turn"] == "idle" else "mid-turn")
        elif row["activity"] != os.environ.get("GATEWAY_REAPER_ACTIVITY"):
            say("kept", "activity")
        elif ask(url, "/instance/dispose", "POST") is True:
            say("reaped")
        else:
            fail("the instance was not disposed of")
    else:
        fail("usage: opencode.py table URL | opencode.py reap URL ID")
except (OSError, ValueError, KeyError, socket.timeout) as error:
    fail(f"opencode at {url}: {error}")
