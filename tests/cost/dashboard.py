"""A dashboard that listens and has workers at rest, each with two threads more and a server below it. With a version it publishes its session
table; without, it has none, as one without the plugin. It ends with its stdin, and its workers with it."""
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORKER = """
import subprocess, sys, threading
for _ in range(2):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
server = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
print(flush=True)
sys.stdin.read()
server.stdin.close()
server.wait()
"""
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
number, version = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
mark = f"--cost-of={os.getpid()}"
workers = [subprocess.Popen([sys.executable, "-c", WORKER, mark, f"--session-key=k{at}"], **PIPES) for at in range(number)]
for worker in workers:
    worker.stdout.readline()


def answer(path):
    if path == "/api/status":
        return 200, {"version": "0.19.0", "auth_required": False}
    if path != "/api/plugins/gateway-reaper/sessions" or version is None:
        return 404, {}
    sessions = [{"id": f"s{at}", "key": f"k{at}", "transport": "attached", "turn": "idle", "holds": [], "worker": {"pid": worker.pid}}
                for at, worker in enumerate(workers)]
    gateway = {"pid": os.getpid(), "instance": "i", "release": "0.19.0"}
    return 200, {"version": 1, "gateway": gateway, "plugin": {"name": "gateway-reaper", "version": version}, "sessions": sessions}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = answer(self.path)
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], os.getpid(), flush=True)
sys.stdin.read()
for worker in workers:
    worker.stdin.close()
for worker in workers:
    worker.wait()
