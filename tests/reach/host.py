"""A host of a server that talks over stdin: starts it, says hello, has it do something, and stays.

`host.py pipe|socket NOTE SERVER_LINES COMMAND...`: the lines are a JSON list of messages, each sent when the answer to the one before came;
what is a notification, or the last, has no answer that is waited for. NOTE gets the server's PID when all are sent.
"""

import json
import os
import socket
import subprocess
import sys
import time

how, note, messages, *command = sys.argv[1:]
if how == "pipe":
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    to, back = server.stdin, server.stdout
else:
    (ours, theirs), (back, answers) = socket.socketpair(), socket.socketpair()
    server = subprocess.Popen(command, stdin=theirs, stdout=answers)
    theirs.close()
    answers.close()
    to, back = ours.makefile("wb"), back.makefile("rb")
messages = json.loads(messages)
for number, message in enumerate(messages):
    to.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    to.flush()
    while "id" in message and number + 1 < len(messages):
        said = back.readline()
        if not said:
            sys.exit(f"{command} ended")
        if json.loads(said).get("id") == message["id"]:
            break
with open(note + ".new", "w") as file:
    file.write(str(server.pid))
os.rename(note + ".new", note)
while True:
    time.sleep(3600)
