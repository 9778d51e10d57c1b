"""A worker that stands in for Hermes': it answers each line of its stdin, and rests in between. Some lines begin work that goes on."""

import socket
import subprocess
import sys
import threading

ends = []


def begin(command, *arguments):
    if command == "/connect":
        connection = socket.create_connection((arguments[0], int(arguments[1])))
        ends.append(connection.close)
    elif command == "/think":
        over = threading.Event()
        threading.Thread(target=over.wait, daemon=True).start()
        ends.append(over.set)
    elif command == "/run":
        child = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
        ends.append(lambda: (child.kill(), child.wait()))
    elif command == "/serve":
        # A server over stdin, as an MCP server is one. It stays.
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    elif command == "/stop":
        ends.pop()()


for line in sys.stdin:
    begin(*line.split())
    print("done", flush=True)
