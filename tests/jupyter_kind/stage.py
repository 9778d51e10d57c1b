"""What a test has done to real Jupyter servers, in a PID and network namespace of its own: orders on stdin, one JSON array a line, and one
answer each on stdout. It is PID 1 there, so that everything ends with it."""

import fcntl
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid

ORDERS = {}
PROCESSES = {}
SERVERS = {}
CLIENTS = {}
CHILDREN = set()
ANSWERS = os.fdopen(os.dup(1), "w")


def order(function):
    ORDERS[function.__name__] = function
    return function


def loopback_up():
    with socket.socket() as it:
        request = struct.pack("16sH14s", b"lo", 0x1 | 0x40, b"")
        fcntl.ioctl(it, 0x8914, request)


def reap_zombies():
    """As an init does, but for those that are waited for by name."""
    own = {process.pid for process in list(PROCESSES.values())}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) in own or int(entry) in CHILDREN:
            continue
        try:
            with open(f"/proc/{entry}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            if fields[0] == "Z" and fields[1] == "1":
                os.waitpid(int(entry), os.WNOHANG)
        except (OSError, ValueError):
            pass


@order
def start(name, argv, env, stdout=None):
    environment = {**os.environ, **env}
    log = open(stdout or os.path.join(os.environ["STAGE_DIR"], f"{name}.log"), "ab")
    PROCESSES[name] = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    return PROCESSES[name].pid


@order
def run(argv, env):
    """Runs to its end."""
    process = subprocess.Popen(argv, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    CHILDREN.add(process.pid)
    out, err = process.communicate()
    CHILDREN.discard(process.pid)
    return {"exit": process.returncode, "out": out, "err": err}


@order
def has_ended(name):
    return PROCESSES[name].poll() is not None


class AtSocket(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def asked(method, url, token, body=None):
    """`unix:/path:` is a server at a socket."""
    headers = {"Authorization": f"token {token}"} if token else {}
    data = None if body is None else json.dumps(body).encode()
    if url.startswith("unix:"):
        _, path, below = url.split(":")
        connection = AtSocket(path)
        connection.request(method, below, data, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    request = urllib.request.Request(url, method=method, headers=headers, data=data)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@order
def server_at(name, url, token):
    """Waits until it answers."""
    SERVERS[name] = (url, token)
    until = time.monotonic() + 580
    while time.monotonic() < until:
        if PROCESSES.get(name) and PROCESSES[name].poll() is not None:
            raise RuntimeError(f"{name} ended")
        try:
            status, _ = asked("GET", f"{url}/api", token)
            if status == 200:
                return True
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"{name} never answers")


@order
def rest(name, method, path, body=None):
    url, token = SERVERS[name]
    status, body = asked(method, url + path, token, body)
    try:
        return {"status": status, "body": json.loads(body)}
    except ValueError:
        return {"status": status, "body": body}


@order
def kernel(name, spec=None):
    answer = rest(name, "POST", "/api/kernels", spec and {"name": spec})
    assert answer["status"] == 201, answer
    return answer["body"]["id"]


class Client:
    """A tab: a WebSocket to a kernel's channels."""

    def __init__(self, name, kernel):
        import websocket

        url, token = SERVERS[name]
        url = url.replace("http://", "ws://") + f"/api/kernels/{kernel}/channels?session_id={uuid.uuid4().hex}"
        self.socket = websocket.create_connection(url, header=[f"Authorization: token {token}"], timeout=120)

    def send(self, code, stdin=False):
        header = {"msg_id": uuid.uuid4().hex, "username": "u", "session": "s", "msg_type": "execute_request", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": stdin}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": []}
        self.socket.send(json.dumps(message))
        return header["msg_id"]

    def wait(self, sent, state):
        """For this state of the kernel while it does what was sent; what it printed meanwhile."""
        printed = ""
        while True:
            message = json.loads(self.socket.recv())
            if message.get("parent_header", {}).get("msg_id") != sent:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                printed += content["text"]
            if kind == "error":
                raise RuntimeError("\n".join(content["traceback"]))
            if kind == "status" and content["execution_state"] == state:
                return printed


@order
def connect(tag, name, kernel):
    CLIENTS[tag] = Client(name, kernel)


@order
def execute(tag, code):
    """To its end; what it printed."""
    client = CLIENTS[tag]
    return client.wait(client.send(code), "idle")


@order
def begin(tag, code, stdin):
    """Until the kernel is busy with it."""
    client = CLIENTS[tag]
    client.wait(client.send(code, stdin), "busy")


@order
def disconnect(tag):
    CLIENTS.pop(tag).socket.close()


@order
def processes():
    found = []
    reap_zombies()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            with open(f"/proc/{entry}/cmdline") as cmdline:
                argv = cmdline.read().rstrip("\0").replace("\0", " ")
        except OSError:
            continue
        if fields[0] != "Z":
            found.append({"pid": int(entry), "ppid": int(fields[1]), "sid": int(fields[3]), "state": fields[0], "argv": argv})
    return found


@order
def kill(pid, number):
    os.kill(pid, number)


@order
def sleep(seconds):
    time.sleep(seconds)


def main():
    loopback_up()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.dup2(2, 1)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            answer = {"is": ORDERS[name](*arguments)}
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        ANSWERS.write(json.dumps(answer) + "\n")
        ANSWERS.flush()


main()
