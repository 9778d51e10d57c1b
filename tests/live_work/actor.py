"""One process of a family: it does what a test tells it through a socket that bears its name.

`actor.py MARK [--session-key KEY]`, with ACTOR_DIR and ACTOR_NAME in its environment. It never outlives the PID namespace of its test.
Each order is a JSON list, a verb and what it takes; the answer is a JSON value. A name that can be connected to is a process that lives.
"""

import ctypes
import fcntl
import json
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

HERE = os.environ["ACTOR_DIR"]
PYTHON = os.path.realpath(sys.executable)
control = None
children = {}
# The other ends of the stdin of those that this process started.
hosts = {}
sockets = []
memory = []


def listen(name):
    """Takes orders under this name from now on, and under no other."""
    global control
    if control is not None:
        control.close()
    path = f"{HERE}/{name}"
    fresh = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    fresh.bind(f"{path}.new.{os.getpid()}")
    os.chmod(f"{path}.new.{os.getpid()}", 0o777)
    os.rename(f"{path}.new.{os.getpid()}", path)
    os.environ["ACTOR_NAME"] = name
    control = fresh


def actor(words, wrapper=None):
    """The command of an actor with these words in its argv; the wrapper is the text of a shell command around it."""
    argv = [PYTHON, "-ISB", __file__, *words]
    if wrapper is None:
        return argv
    return ["sh", "-c", wrapper.replace("ACTOR", " ".join(argv))]


class Gateway(threading.Thread):
    """Answers the table, and requests to reap."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.table = '{"version":1,"sessions":[]}'
        self.since = time.monotonic()
        self.manner = "answers"
        self.reaps = {}
        self.asked = []
        self.looks = 0
        self.before_answer = []
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        said = b""
        while True:
            while b"\r\n\r\n" not in said:
                more = connection.recv(65536)
                if not more:
                    return
                said += more
            head, said = said.split(b"\r\n\r\n", 1)
            head = head.decode()
            length = 0
            for line in head.split("\r\n")[1:]:
                name, value = line.split(":", 1)
                if name.lower() == "content-length":
                    length = int(value)
            while len(said) < length:
                said += connection.recv(65536)
            said = said[length:]
            method, path, _ = head.split(" ", 2)
            status, kind, body = self.answer(method, path)
            if self.manner == "hangs":
                time.sleep(3600)
            text = body.encode()
            connection.sendall(
                f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text
            )

    def answer(self, method, path):
        if method == "POST":
            session = path.split("/")[-2]
            self.asked.append(session)
            status, body, orders = self.reaps.get(session, (500, "{}", []))
            for order in orders:
                obey(order)
            return status, "application/json", body
        table = self.table
        self.looks += 1
        if self.manner == "refuses":
            return 401, "application/json", '{"error":"unauthorized"}'
        if self.manner == "shows a page":
            return 200, "text/html", "<html><body>Sign in</body></html>"
        before, self.before_answer = self.before_answer, []
        for order in before:
            obey(order)
        return 200, "application/json", table.replace('"@clock"', f"{time.monotonic() - self.since:.3f}")


gateway = None


def spawn(name, command, options):
    """Starts a process of this command that takes this name."""
    environment = {**os.environ, "ACTOR_NAME": name}
    for variable, value in options.get("environment", {}).items():
        environment[variable] = value
    directory = options.get("directory")
    log = options.get("log")
    stdin = None
    if options.get("stdin") == "pipe":
        stdin, hosts[name] = os.pipe()
    elif options.get("stdin") == "socket":
        ours, theirs = socket.socketpair()
        stdin, hosts[name] = theirs.detach(), ours.detach()
    elif options.get("stdin"):
        stdin = os.open(options["stdin"], os.O_RDWR)

    def become():
        if stdin is not None:
            os.dup2(stdin, 0)
        if options.get("session"):
            os.setsid()
        if options.get("group"):
            os.setpgid(0, 0)
        if directory:
            os.chdir(directory)
        if log:
            for number, suffix in ((1, "out"), (2, "err")):
                file = os.open(f"{log}.{suffix}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                os.dup2(file, number)
        if "user" in options:
            os.setgroups([])
            os.setgid(options["user"])
            os.setuid(options["user"])
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if options.get("orphan") and os.fork():
            os._exit(0)

    pid = os.fork()
    if pid == 0:
        try:
            become()
            os.execvpe(command[0], command, environment)
        finally:
            os._exit(127)
    if stdin is not None:
        os.close(stdin)
    if options.get("orphan"):
        os.waitpid(pid, 0)
    else:
        children[pid] = None
    return pid


def fork(name, twice):
    """A copy of this process without exec; a second fork leaves it to what adopts orphans."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        if twice:
            os.setsid()
            if os.fork():
                os._exit(0)
        children.clear()
        listen(name)
        os.write(writer, str(os.getpid()).encode())
        os.close(writer)
        os.close(reader)
        stay()
    os.close(writer)
    if twice:
        os.waitpid(pid, 0)
    else:
        children[pid] = None
    said = int(os.read(reader, 32))
    os.close(reader)
    return said


def rewrite_argv(text):
    """Writes over the argv of this process, as setproctitle does."""
    fields = open("/proc/self/stat").read().rsplit(")", 1)[1].split()
    start, end = int(fields[45]), int(fields[46])
    with open("/proc/self/mem", "r+b", buffering=0) as mem:
        mem.seek(start)
        mem.write(text.encode().ljust(end - start - 1, b"\0")[: end - start - 1] + b"\0")


def on_term(orders, then):
    """What this process does when it is asked to end; afterwards it ends unless it is to live on."""

    def asked(_number, _frame):
        for order in orders:
            obey(order)
        if then == "ends":
            os._exit(0)

    signal.signal(signal.SIGTERM, asked)


def state(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


def below(pid):
    try:
        children = [int(child) for task in os.listdir(f"/proc/{pid}/task") for child in open(f"/proc/{pid}/task/{task}/children").read().split()]
    except OSError:
        return []
    return children + [each for child in children for each in below(child)]


def smaps(pid):
    rollup = open(f"/proc/{pid}/smaps_rollup").read().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in rollup[1:] if line.endswith("kB")}


def reap_children():
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if pid in children:
            children[pid] = os.waitstatus_to_exitcode(status)


def obey(order):
    global gateway
    verb, *rest = order
    if verb == "spawn":
        return spawn(*rest)
    if verb == "actor":
        name, words, options = rest
        return spawn(name, actor(words, options.get("wrapper")), options)
    if verb == "contained":
        name, words = rest
        inside = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--", f"{HERE}/../tini", *actor(words)[1:]]
        return spawn(name, inside, {})
    if verb == "fork":
        return fork(*rest)
    if verb == "exec":
        # No answer comes.
        os.environ["ACTOR_NAME"] = rest[0]
        os.execv(PYTHON, actor(rest[1]))
    if verb == "pid":
        return os.getpid()
    if verb == "join":
        with open(rest[0], "w") as group:
            group.write("0")
        return None
    if verb == "below":
        return below(*rest)
    if verb == "close stdin":
        return os.close(hosts.pop(rest[0]))
    if verb == "stdin of":
        # From now on another process has the same end of it, too.
        return os.set_inheritable(hosts[rest[0]], True)
    if verb == "undumpable":
        # PR_SET_DUMPABLE.
        return ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
    if verb == "listen":
        sockets.append(socket.create_server(("127.0.0.1", rest[0])))
        return None
    if verb == "listen unix":
        sockets.append(socket.socket(socket.AF_UNIX))
        sockets[-1].bind(rest[0])
        return sockets[-1].listen()
    if verb == "accept":
        sockets.append(sockets[-1].accept()[0])
        return None
    if verb == "connect":
        sockets.append(socket.create_connection(("127.0.0.1", rest[0])))
        return None
    if verb == "connect unix":
        sockets.append(socket.socket(socket.AF_UNIX))
        return sockets[-1].connect(rest[0])
    if verb == "disconnect":
        return sockets.pop().close()
    if verb == "exit":
        os._exit(0)
    if verb == "setsid":
        return os.setsid()
    if verb == "has":
        # Another process does it.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind("")
            other.connect(f"{HERE}/{rest[0]}")
            other.send(json.dumps(rest[1]).encode())
            return json.loads(other.recv(1 << 16))
    if verb == "argv":
        return rewrite_argv(*rest)
    if verb == "become root":
        os.execv(rest[0], actor(sys.argv[1:]))
    if verb == "on term":
        return on_term(*rest)
    if verb == "sleep":
        return time.sleep(*rest)
    if verb == "signal":
        return os.kill(*rest)
    if verb == "run":
        return subprocess.run(rest[0]).returncode
    if verb == "loopback":
        # SIOCSIFFLAGS with IFF_UP.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
        return None
    if verb == "adopts":
        # PR_SET_CHILD_SUBREAPER, and the name of one that is known for it.
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
        with open("/proc/self/comm", "w") as comm:
            comm.write(rest[0])
        return None
    if verb == "ended":
        reap_children()
        return children.get(rest[0])
    if verb == "state":
        return state(*rest)
    if verb == "smaps":
        return smaps(*rest)
    if verb == "parent":
        return int(open(f"/proc/{rest[0]}/stat").read().rsplit(")", 1)[1].split()[1])
    if verb == "fill":
        block = mmap.mmap(-1, rest[0], flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for at in range(0, rest[0], 4096):
            block[at] = 1
        memory.append(block)
        return None
    if verb == "serve":
        gateway = Gateway(*rest)
        return None
    if verb == "publish":
        gateway.table = rest[0]
        gateway.before_answer = rest[1:]
        return None
    if verb == "manner":
        gateway.manner = rest[0]
        return None
    if verb == "when reaping":
        gateway.reaps[rest[0]] = rest[1:]
        return None
    if verb == "asked":
        return gateway.asked
    if verb == "looks":
        return gateway.looks
    raise ValueError(f"no such order: {verb}")


def stay():
    while True:
        ready, _, _ = select.select([control], [], [], 0.05 if children else None)
        reap_children()
        if not ready:
            continue
        order, sender = control.recvfrom(1 << 20)
        try:
            answer = obey(json.loads(order))
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        control.sendto(json.dumps(answer).encode(), sender)


listen(os.environ["ACTOR_NAME"])
stay()
