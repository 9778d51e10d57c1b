"""The processes of these tests, one by the name of its role: `net.py ROLE ARGUMENTS`, with ACTOR_DIR and ACTOR_NAME in its environment.

`dashboard HOST PORT` stands in for a Hermes dashboard without the plugin: a page with its token, a WebSocket of JSON-RPC, and a worker for
each session that runs a command. `client` speaks to it or to a real one. `forwarder` passes connections on into another network namespace.
`looker` does nothing but look. Each takes orders as the actors do: a JSON list, a verb and what it takes; the answer is a JSON value.
"""

import base64
import ctypes
import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

HERE = os.environ["ACTOR_DIR"]
TOKEN = "a-token"
PAGE = f'<html><head><script>window.__HERMES_SESSION_TOKEN__="{TOKEN}";</script></head></html>'
# CLONE_NEWNET.
NETWORK = 0x40000000


def ends(host, port):
    """The address of a host by its number, of either family."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0]


class Wire:
    """A connection over which HTTP and then WebSocket messages go."""

    def __init__(self, connection, masks):
        self.connection = connection
        self.masks = masks
        self.said = b""

    def more(self):
        got = self.connection.recv(65536)
        if not got:
            raise ConnectionError("closed")
        self.said += got

    def take(self, length):
        while len(self.said) < length:
            self.more()
        taken, self.said = self.said[:length], self.said[length:]
        return taken

    def head(self):
        while b"\r\n\r\n" not in self.said:
            self.more()
        head, self.said = self.said.split(b"\r\n\r\n", 1)
        return head.decode()

    def send(self, text, kind=1):
        data = text if isinstance(text, bytes) else text.encode()
        length = len(data)
        bit = 0x80 if self.masks else 0
        size = bytes([bit | length]) if length < 126 else bytes([bit | 126]) + struct.pack(">H", length)
        if self.masks:
            mask = os.urandom(4)
            data = mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        self.connection.sendall(bytes([0x80 | kind]) + size + data)

    def receive(self):
        """The next message; pings are answered."""
        while True:
            first, length = self.take(2)
            masked, length = length & 0x80, length & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", self.take(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self.take(8))
            mask = self.take(4) if masked else b"\0\0\0\0"
            data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.take(length)))
            if first & 0x0F == 8:
                raise ConnectionError("closed")
            if first & 0x0F == 9:
                self.send(data, 10)
            elif first & 0x0F == 1:
                return json.loads(data)


class Dashboard:
    def __init__(self, host, *ports):
        self.sessions = {}
        self.open = []
        self.held = threading.Event()
        for port in ports:
            family, _, _, _, address = ends(host, int(port))
            self.listener = socket.create_server(address, family=family, backlog=16, dualstack_ipv6=host == "::")
            threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            connection, _ = listener.accept()
            self.open.append(connection)
            threading.Thread(target=self.serve, args=(Wire(connection, False),), daemon=True).start()

    def serve(self, wire):
        try:
            while self.answer(wire, wire.head()):
                pass
        except OSError:
            pass
        self.open.remove(wire.connection)
        wire.connection.close()

    def answer(self, wire, head):
        path = head.split(" ")[1].split("?")[0]
        fields = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in head.split("\r\n")[1:])}
        if path == "/api/ws":
            key = fields["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
            wire.connection.sendall(
                f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode()
            )
            while True:
                asked = wire.receive()
                wire.send(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": self.call(asked["method"], asked["params"])}))
        bodies = {"/": ("text/html", PAGE), "/api/status": ("application/json", '{"version":"0.0.0"}'), "/api/dashboard/plugins": ("application/json", "[]")}
        kind, body = bodies.get(path, ("application/json", '{"detail":"Not Found"}'))
        status = "200 OK" if path in bodies else "404 Not Found"
        wire.connection.sendall(f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        return True

    def call(self, method, params):
        if method == "session.create":
            session = f"s{len(self.sessions)}"
            self.sessions[session] = None
            return {"session_id": session}
        if method == "session.active_list":
            return {"sessions": [{"id": session} for session in self.sessions]}
        if method == "slash.exec":
            session = params["session_id"]
            if self.sessions.get(session) is None or self.sessions[session].poll() is not None:
                self.sessions[session] = self.worker(session)
            worker = self.sessions[session]
            worker.stdin.write(params["command"].encode() + b"\n")
            worker.stdin.flush()
            return {"output": worker.stdout.readline().decode().strip()}
        if method == "hold":
            self.held.wait()
            return "let go"
        return {}

    def worker(self, session):
        module = [sys.executable, "-m", "tui_gateway.slash_worker", "--session-key", session]
        environment = {**os.environ, "PYTHONPATH": f"{HERE}/modules"}
        return subprocess.Popen(module, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


class Client:
    def __init__(self):
        self.wire = None
        self.session = None

    def connect(self, host, port, token=TOKEN, path="/api/ws", source=None):
        family, kind, _, _, address = ends(host, port)
        connection = socket.socket(family, kind)
        if source is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            connection.bind(("127.0.0.1", source))
        connection.connect(address)
        self.wire = Wire(connection, True)
        key = base64.b64encode(os.urandom(16)).decode()
        connection.sendall(
            f"GET {path}?token={token} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        return self.wire.head().split(" ")[1]

    def begin(self, method, params):
        self.wire.send(json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}))

    def end(self):
        while True:
            said = self.wire.receive()
            if said.get("id") == 7:
                return said

    def ask(self, method, params):
        self.begin(method, params)
        return self.end()

    def command(self, command="/help"):
        """Runs a slash command in a session of its own; again, while the session is being built."""
        if self.session is None:
            self.session = self.ask("session.create", {"cols": 80})["result"]["session_id"]
        for _ in range(600):
            said = self.ask("slash.exec", {"session_id": self.session, "command": command})
            if "result" in said:
                return said["result"]
            time.sleep(0.1)
        raise TimeoutError(said)


class Forwarder:
    """Listens in its own network namespace, and passes on what comes into that of another process."""

    def __init__(self, port, process, to):
        listener = socket.create_server(("127.0.0.1", int(port)))
        with open(f"/proc/{process}/ns/net") as there:
            if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), NETWORK) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        threading.Thread(target=self.run, args=(listener, int(to)), daemon=True).start()

    def run(self, listener, to):
        # A thread has the namespace of the one that started it.
        while True:
            here, _ = listener.accept()
            there = socket.create_connection(("127.0.0.1", to))
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self.pump, args=(one, other), daemon=True).start()

    def pump(self, one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def unshare_network():
    """This process leaves its network namespace; its sockets stay in it."""
    if ctypes.CDLL(None, use_errno=True).unshare(NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def workers(gateway):
    """The workers right below a process."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            parent = int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
            argv = open(f"/proc/{pid}/cmdline", "rb").read()
        except OSError:
            continue
        if parent == gateway and b"\0tui_gateway.slash_worker\0" in argv:
            found.append(int(pid))
    return sorted(found)


role, *arguments = sys.argv[1:]
it = {"dashboard": Dashboard, "client": Client, "forwarder": Forwarder, "looker": object}[role](*arguments)
parked = []


def obey(order):
    verb, *rest = order
    if verb == "pid":
        return os.getpid()
    if verb == "run":
        return subprocess.run(rest[0]).returncode
    if verb == "workers":
        return workers(rest[0])
    if verb == "connect":
        return it.connect(*rest)
    if verb == "command":
        return it.command(*rest)
    if verb == "close":
        return it.wire.connection.close()
    if verb == "begin":
        return it.begin(rest[0], {})
    if verb == "end":
        return it.end()["result"]
    if verb == "let go":
        return it.held.set()
    if verb == "half close":
        return it.wire.connection.shutdown(socket.SHUT_WR)
    if verb == "is open":
        with socket.socket() as visitor:
            return visitor.connect_ex((rest[0], rest[1])) == 0
    if verb == "page":
        with socket.create_connection((rest[0], rest[1])) as visitor:
            visitor.sendall(f"GET / HTTP/1.1\r\nHost: {rest[0]}:{rest[1]}\r\n\r\n".encode())
            return Wire(visitor, False).head().split(" ")[1]
    if verb == "leave the network":
        # With all of its threads, as far as these are there: what they start and what is asked of them comes from elsewhere from now on.
        return unshare_network()
    if verb == "knock":
        # Connects and says nothing; what doesn't get a place in the backlog stays half open.
        for _ in range(rest[2]):
            family, kind, _, _, address = ends(rest[0], rest[1])
            parked.append(socket.socket(family, kind))
            parked[-1].setblocking(False)
            parked[-1].connect_ex(address)
        return None
    if verb == "walk away":
        for connection in parked:
            connection.close()
        return parked.clear()
    if verb == "listen without accepting":
        parked.append(socket.create_server((rest[0], rest[1]), backlog=rest[2]))
        return None
    if verb == "accept":
        parked.extend([parked[0].accept()[0] for _ in range(rest[0])])
        return None
    if verb == "hang up":
        # The dashboard gives up all connections of clients.
        for connection in list(it.open):
            connection.shutdown(socket.SHUT_RDWR)
        return None
    if verb == "child":
        # A process of its own that is connected to it, as a terminal tab has one.
        words = [sys.executable, __file__, "client"]
        subprocess.Popen(words, env={**os.environ, "ACTOR_NAME": rest[0]})
        return None
    raise ValueError(f"no such order: {verb}")


path = f"{HERE}/{os.environ['ACTOR_NAME']}"
control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
control.bind(f"{path}.new")
os.rename(f"{path}.new", path)
while True:
    order, sender = control.recvfrom(1 << 20)
    try:
        answer = obey(json.loads(order))
    except Exception as error:
        answer = {"failed": f"{type(error).__name__}: {error}"}
    control.sendto(json.dumps(answer).encode(), sender)
