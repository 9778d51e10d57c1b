#!/usr/bin/python3 -I
"""Detached tmux sessions for gateway-reaper, kind "command".

    table = ["/path/tmux.py", "table"]
    reap = ["/path/tmux.py", "reap"]
    environment = ["TMUX_TMPDIR"]

Options of tmux may follow the first word: ["/path/tmux.py", "table", "-L", "agents"], the same for both.

A session is detached when no client is attached. It is in a turn while the foreground process of any of its panes isn't that pane's shell, and
held while such a shell has children in the background. What can't be read leaves the turn out, and such a session is kept. A query that
fails exits with 1: it is never an empty table.

A session is closed by one command in tmux's own event loop, and only if no client is attached at that instant, nothing was done in it since it
was judged, and the server is the one that was asked.
"""

import json
import os
import subprocess
import sys

SHELLS = {"sh", "ash", "bash", "csh", "dash", "fish", "ksh", "mksh", "nu", "tcsh", "zsh"}
FIELDS = ["pid", "start_time", "session_id", "session_attached", "session_activity", "window_activity", "pane_dead", "pane_pid"]


def tmux(options, *command):
    done = subprocess.run(["tmux", *options, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr.strip()


def fail(words):
    print(words, file=sys.stderr)
    sys.exit(1)


def work(pane):
    """What a pane does: a turn and holds. None for a turn that can't be known."""
    if pane["pane_dead"] == "1":
        return "idle", []
    try:
        with open(f"/proc/{pane['pane_pid']}/stat") as file:
            name, rest = file.read().split("(", 1)[1].rsplit(")", 1)
        fields = rest.split()
        group, foreground = fields[2], fields[5]
        with open(f"/proc/{pane['pane_pid']}/task/{pane['pane_pid']}/children") as file:
            children = file.read().split()
    except (OSError, IndexError, ValueError):
        return None, []
    if name not in SHELLS or group != foreground:
        return "running", []
    return "idle", ["background-process"] if children else []


def table(options):
    shape = "\t".join("#{%s}" % field for field in FIELDS)
    code, out, err = tmux(options, "list-panes", "-a", "-F", shape)
    if code or not out:
        fail(err or "tmux listed nothing")
    sessions = {}
    for line in out.splitlines():
        pane = dict(zip(FIELDS, line.split("\t"), strict=True))
        row = sessions.setdefault(
            pane["session_id"],
            {
                "id": pane["session_id"],
                "transport": "detached" if pane["session_attached"] == "0" else "attached",
                "turn": "idle",
                "holds": [],
                "activity": pane["session_activity"],
            },
        )
        turn, holds = work(pane)
        if turn is None:
            del row["turn"]
        elif turn == "running" and "turn" in row:
            row["turn"] = turn
        row["holds"] = sorted({*row["holds"], *holds})
        row["activity"] += f" {pane['pane_pid']}:{pane['window_activity']}"
    gateway = {"pid": int(pane["pid"]), "instance": f"{pane['pid']} {pane['start_time']}"}
    print(json.dumps({"version": 1, "gateway": gateway, "sessions": list(sessions.values())}))


def reap(options, session):
    pid, started = os.environ["GATEWAY_REAPER_INSTANCE"].split()
    activity = os.environ["GATEWAY_REAPER_ACTIVITY"].split()[0]
    if not (session[:1] == "$" and session[1:].isdigit() and pid.isdigit() and started.isdigit() and activity.isdigit()):
        fail("that is no session of tmux")
    code, out, err = tmux(options, "list-panes", "-s", "-t", session, "-F", "\t".join("#{%s}" % field for field in FIELDS))
    if code:
        return gone_or_fail(err)
    for line in out.splitlines():
        turn, holds = work(dict(zip(FIELDS, line.split("\t"), strict=True)))
        if turn != "idle" or holds:
            return say("kept", "mid-turn" if turn != "idle" else holds[0])
    # Asked and answered in one go by the server, which serves no client meanwhile.
    same_run = f"#{{&&:#{{==:#{{pid}},{pid}}},#{{==:#{{start_time}},{started}}}}}"
    at_rest = f"#{{&&:#{{==:#{{session_attached}},0}},#{{==:#{{session_activity}},{activity}}}}}"
    code, out, err = tmux(
        options,
        *["if-shell", "-F", "-t", session, f"#{{&&:{same_run},{at_rest}}}"],
        f"display-message -p reaped ; kill-session -t '{session}'",
        f"display-message -p -t '{session}' '#{{pid}} #{{start_time}} #{{session_attached}}'",
    )
    if out.strip() == "reaped":
        return say("reaped")
    if code or not out:
        return gone_or_fail(err)
    now = out.split()
    if now[:2] != [pid, started]:
        return say("kept", "instance")
    return say("kept", "activity" if now[2] == "0" else "attached")


def gone_or_fail(err):
    return say("gone") if err.startswith("can't find session") else fail(err or "tmux gave no reason")


def say(outcome, reason=None):
    print(json.dumps({"outcome": outcome, **({"reason": reason} if reason else {})}))


verb, *words = sys.argv[1:]
if verb == "table":
    table(words)
elif verb == "reap" and words:
    reap(words[:-1], words[-1])
else:
    fail("usage: tmux.py table [OPTIONS] | tmux.py reap [OPTIONS] ID")
