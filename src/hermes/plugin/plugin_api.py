"""gateway-reaper's view into a Hermes gateway: a session table, and a reap that only takes orphans.

    GET  /api/plugins/gateway-reaper/sessions             the table, read-only
    POST /api/plugins/gateway-reaper/sessions/<id>/reap   close this one *if* it is an orphan at this instant
    body: {"instance": "as in the table", "activity": "as in its row (optional: refuse if it changed)"}

The gateway mounts this file behind its own auth and runs it in its own process, so it keeps to these rules:

* It imports none of the gateway's modules (an import would start things); it looks at those already loaded.
* It patches nothing, writes no file and no database, and touches no timestamp of a session.
* A symbol that isn't where it should be, a lock that isn't free in time, anything it cannot read: "unknown",
  and the session is kept. It never guesses.
* It reads other modules' registries without their locks (copying a dict is atomic), so it can neither deadlock
  with them nor stall them. The gateway's session locks it takes in the gateway's own order, each with a
  timeout, and never while it tears something down.
"""
import gc
import hashlib
import os
import secrets
import sys
import threading
from collections import namedtuple
from contextlib import ExitStack
from functools import partial
from itertools import accumulate, chain, islice, repeat, takewhile

from fastapi import APIRouter, Body
from fastapi.responses import JSONResponse

PLUGIN_VERSION = "1.0.0"
INSTANCE = f"{os.getpid()}-{secrets.token_hex(8)}"  # this run of the gateway
LOCK_TIMEOUT_S = 1.0  # short: others wait behind the locks we already hold
ONE_WALK = threading.Lock()

# Whose rows in state.db may be ended from here. Everything else (telegram, discord, ...) belongs to a
# messaging platform, and a client only viewed it. "tool" is the dashboard's own sidebar.
OUR_SOURCES = {"", "tui", "cli", "desktop", "webui", "tool"}


def _sessions():
    """The gateway's module and its sessions. There are none until the first client came and loaded it."""
    server = sys.modules.get("tui_gateway.server")
    sessions = {} if server is None else getattr(server, "_sessions", None)
    if not isinstance(sessions, dict):
        raise LookupError("this gateway keeps its sessions where this plugin cannot see them")
    return server, sessions


def _of_module(name, entries):
    """Entries of another module's registry, copied. A module that was never loaded has none."""
    module = sys.modules.get(name)
    return [] if module is None else list(entries(module))


class Session:
    """What a session's record, and what others keep about it, say at this moment."""

    def __init__(self, server, sid, record, in_hand=None):
        self.server, self.sid, self.record, self.get, self.in_hand = server, sid, record, record.get, in_hand
        self.agent, self.worker = record.get("agent"), record.get("slash_worker")
        # Its durable ids. Two after a compression: the agent's is then ahead of the session's.
        self.keys = {key for key in (record.get("session_key"), getattr(self.agent, "session_id", None)) if key}

    def transport(self):
        """"attached", "detached", or None where that cannot be told."""
        transport = self.get("transport")
        if transport is not None and transport is self.parking():
            return "detached"
        if type(transport).__name__ != "WSTransport":
            return None
        closed, socket = getattr(transport, "_closed", None), getattr(transport, "_ws", None)
        if closed is False:
            return "attached"
        # A request that finishes after its client has gone binds the session to the dead socket, and nothing
        # parks it any more. `_closed` alone is no proof (one slow write sets it): ask the socket.
        states = [getattr(getattr(socket, name, None), "name", "") for name in ("client_state", "application_state")]
        return "detached" if closed is True and "DISCONNECTED" in states else None

    def parking(self):
        """Where the gateway itself puts a session whose client has gone; None where that cannot be told."""
        parking = getattr(self.server, "_detached_ws_transport", None)  # since 0.19, and nowhere else
        if parking is None and "hermes_cli.web_server" in sys.modules:
            main = getattr(sys.modules.get("__main__"), "__spec__", None)
            if not str(getattr(main, "name", "")).startswith("tui_gateway"):  # there stdio is a live client
                parking = getattr(self.server, "_stdio_transport", None)
        return parking

    def turn(self):
        """"idle", "running", "waiting", "starting", or None where that cannot be told."""
        try:
            prompts = list(self.server._pending.values())  # clarify, sudo, secret
            if any(sid == self.sid for sid, _event in prompts) or self.approval():
                return "waiting"
            ready = self.get("agent_ready")
            if ready is not None and not ready.is_set():
                # A lazy watch session never builds an agent and is no less idle for that.
                if self.get("agent_build_started") or not self.get("lazy"):
                    return "starting"
            return "running" if self.record["running"] else "idle"
        except Exception:
            return None

    def holds(self):
        """The reasons to keep it; one that cannot be read keeps it, too."""
        holds = []
        for name, check in HOLDS.items():
            try:
                if check(self):
                    holds.append(name)
            except Exception:
                holds.append("unknown-" + name)
        return holds

    def approval(self):
        return any(_of_module("tools.approval", lambda it: [it._gateway_queues.get(key) for key in self.keys]))

    def background_process(self):
        """agent.close() would kill these: by task id; the registry knows them by session key as well."""
        running = _of_module("tools.process_registry", lambda it: it.process_registry._running.values())
        return any(not each.exited and {each.session_key, each.task_id} & self.keys for each in running)

    def delegation(self):
        if self.agent is not None and list(self.agent._active_children):
            return True
        if self.get("lazy") and any(self.server._child_run_active(key) for key in self.keys):
            return True  # a window that watches a running subagent
        background = _of_module("tools.async_delegation", lambda it: it._records.values())  # since 0.19
        running = [each for each in background if each["status"] == "running"]
        return any(each["origin_ui_session_id"] == self.sid
                   or {each["session_key"], each.get("parent_session_id")} & self.keys for each in running)

    def undelivered_result(self):
        """A finished process or delegation whose result this session's own poller is about to turn into a turn."""
        stop = self.get("_notif_stop")
        if stop is None or stop.is_set():
            return False
        events = _of_module("tools.process_registry", lambda it: it.process_registry.completion_queue.queue)
        return any(each.get("origin_ui_session_id") == self.sid or each.get("session_key") in self.keys
                   for each in events)

    def shared_key(self):
        """0.13 makes a second live session for a key that is resumed, and most of a teardown goes by the key."""
        others = [Session(self.server, *item) for item in list(self.server._sessions.items())]
        twins = [other for other in others if other.record is not self.record and other.keys & self.keys]
        return any((twin.transport(), twin.turn()) != ("detached", "idle") for twin in twins)

    def holds_of_its_rows(self):
        """Those that its rows in state.db ask for. May wait for others' locks: never call it under the gateway's."""
        try:
            # Lets the registry notice recovered processes that ended since; they'd hold the session for ever.
            _of_module("tools.process_registry", lambda it: map(it.process_registry.has_active_for_session, self.keys))
            ours = OUR_SOURCES | {"subagent"} if self.get("lazy") else OUR_SOURCES  # a window that watched a subagent
            db, rows = getattr(self.agent, "_session_db", None), []
            if db is None and not self.get("profile_home"):
                db = self.server._db
            # From a database that was never opened nothing was resumed; one that isn't at hand raises.
            if db is not None or self.get("profile_home") or self.server._db_error:
                rows = [db.get_session(key) or {} for key in self.keys]
            if any(str(each.get("source") or "").lower() not in ours for each in [self.record, *rows]):
                return ["not-ours"]
            # On its way to a messaging platform.
            return ["handoff"] if any(row.get("handoff_state") in ("pending", "running") for row in rows) else []
        except Exception:
            return ["unknown-source"]

    def activity(self):
        """Differs whenever the session did anything: turns, history, clients, slash commands, attachments."""
        names = ("history_version", "running", "last_active", "image_counter", "cols", "cwd")
        seen = [self.get(name) for name in names]
        seen += [len(self.get(name) or ()) for name in ("history", "attached_images", "edit_snapshots")]
        seen += [id(each) for each in (self.get("transport"), self.agent, self.worker)]
        seen += [getattr(self.worker, "_seq", None), sorted(self.keys)]
        return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


HOLDS = {
    "in-use": lambda session: id(session.record) in session.in_hand,
    "approval": Session.approval,
    "background-process": Session.background_process,
    "delegation": Session.delegation,
    "undelivered-result": Session.undelivered_result,
    "shared-key": Session.shared_key,
    "slash-command": lambda session: session.worker is not None and session.worker._lock.locked(),
    "queued-prompt": lambda session: session.get("queued_prompt"),
    "compute-host": lambda session: session.get("_compute_host_active"),
    "closing": lambda session: session.get("_finalized"),
}


def _records_in_hand(server):
    """The ids of the records that a thread of the gateway has in hand, as a variable of a function under way.

    That is a request in flight (a compression, a prompt that just looked its session up), a background
    prompt, or the tail of a turn, which may yet start the next one: none of these shows in the record."""
    if not hasattr(sys, "_current_frames"):  # CPython's
        return None
    found, stacks = set(), _stacks()
    while stacks:
        frames = [frame for frame in stacks.pop() if frame.f_globals is vars(server)]
        if any(frame.f_code.co_name == "_notification_poller_loop" for frame in frames):
            continue  # it holds its session for life; undelivered_result speaks for it
        for frame in frames:
            found.update(id(value) for value in list(frame.f_locals.values()) if isinstance(value, dict))
    return found


def _stacks():
    """The frames of each thread, all of the same instant.

    They are followed in one call that runs no Python code, and so keeps the interpreter's lock from its first
    step to its last: `f_back` of a frame that went on meanwhile may lead into freed memory, and the gateway is
    gone. That is why this isn't a loop, and why no garbage is collected during it, which may run anything."""
    tops = chain.from_iterable(map(dict.values, islice(iter(sys._current_frames, None), 1)))
    steps = map(chain, zip(tops), repeat(repeat("f_back")))  # frame, "f_back", "f_back", ...
    stacks = map(list, map(takewhile, repeat(bool), map(accumulate, steps, repeat(getattr))))
    with ONE_WALK:
        collects = gc.isenabled()
        gc.disable()
        try:
            return list(stacks)
        finally:
            if collects:
                gc.enable()


def table():
    try:
        server, sessions = _sessions()
    except LookupError as error:
        return 503, {"error": str(error)}
    in_hand, rows = _records_in_hand(server) if sessions else (), []
    for sid, record in list(sessions.items()):
        try:
            session = Session(server, sid, record, in_hand)
            rows.append(_row(session, session.holds_of_its_rows()))
        except Exception:  # its worker may be any: the reader leaves them all alone
            rows.append({"id": str(sid), "holds": ["unknown-session"], "worker": "unknown"})
    return 200, {
        "version": 1,
        "gateway": {"pid": os.getpid(), "instance": INSTANCE},
        "plugin": {"name": "gateway-reaper", "version": PLUGIN_VERSION},
        "sessions": rows,
    }


def _row(session, holds_of_its_rows):
    """What the table says of a session. A field that is absent is "unknown" to the reader, which keeps it."""
    process = getattr(session.worker, "proc", None)
    row = {
        "id": str(session.sid),
        "key": str(session.get("session_key") or session.sid),
        "transport": session.transport(),
        "turn": session.turn(),
        "activity": session.activity(),
        "close_on_disconnect": bool(session.get("close_on_disconnect")),
        "holds": session.holds() + holds_of_its_rows,
        "worker": {"pid": process.pid} if process is not None and process.returncode is None else None,
    }
    return {name: value for name, value in row.items() if value is not None}


class Refusal(Exception):
    """Why a session isn't taken: the status and the content of the answer."""

    def __init__(self, status, outcome, **more):
        super().__init__(status, {"outcome": outcome, **more})


def reap(sid, instance, activity=None):
    try:
        if instance != INSTANCE:
            raise Refusal(412, "kept", reason="instance")
        server, sessions = _sessions()
        if sid not in sessions:
            raise Refusal(404, "gone")
        session, release = Session(server, sid, sessions[sid]), _release(server)
        record = _claim(release, session, session.holds_of_its_rows(), activity)
    except Refusal as refusal:
        return refusal.args
    except Exception as error:
        return Refusal(503, "kept", reason="unknown-state", detail=f"{type(error).__name__}: {error}").args
    try:
        release.teardown(record)  # outside every lock: memory commits, hooks, processes, the database
    finally:
        if record.get("slash_worker") is not None:
            record["slash_worker"].close()  # idempotent; whatever failed above, the worker must not stay
    return 200, {"outcome": "reaped"}


def _claim(release, seen, holds_of_its_rows, activity):
    """Takes a session out of the registry if it is an orphan now, and returns its record."""
    server, sid, record = seen.server, seen.sid, seen.record
    with ExitStack() as held:
        for lock in (release.resume_lock, record["history_lock"], release.registry_lock):
            if lock is not None:
                if not lock.acquire(timeout=LOCK_TIMEOUT_S):
                    raise Refusal(503, "kept", reason="lock-timeout")
                held.callback(lock.release)
        if server._sessions.get(sid) is not record:
            raise Refusal(404, "gone")
        session = Session(server, sid, record, _records_in_hand(server))
        if session.keys != seen.keys:
            holds_of_its_rows = ["unknown-source"]  # it moved to another row since that was looked up
        _refuse_unless_orphaned(_row(session, holds_of_its_rows), activity)
        verdict = getattr(server, "_ws_session_is_orphaned", None)  # the gateway's own, on what it parked itself
        if verdict is not None and record["transport"] is session.parking() and not verdict(record):
            if session.transport() == "detached":  # else a client came just now, see below
                raise Refusal(503, "kept", reason="unknown-state", detail="the gateway disagrees")
        # The tombstone: a prompt that has looked this session up and now waits for history_lock finds a
        # turn in flight, and is refused instead of lost. Its client is bound *without* a lock: look again.
        record["running"] = True
        popped = None
        try:
            if session.transport() != "detached":
                raise Refusal(409, "kept", reason="attached")
            popped = release.pop(sid)
            if popped is None:  # 0.13 has no registry lock: its session.close was first
                raise Refusal(404, "gone")
        finally:
            if popped is None:
                record["running"] = False
        whole = dict(record, running=False)  # what is torn down
        record.update(release.grave)  # what stays in the hands of whoever looked it up before
        return whole


def _refuse_unless_orphaned(row, activity):
    transport, turn, holds = row.get("transport"), row.get("turn"), row["holds"]
    if transport == "attached":
        raise Refusal(409, "kept", reason="attached")
    if turn in ("running", "waiting", "starting"):
        raise Refusal(409, "kept", reason="mid-turn" if turn == "running" else turn)
    if (transport, turn) != ("detached", "idle") or any(hold.startswith("unknown-") for hold in holds):
        raise Refusal(503, "kept", reason="unknown-state", holds=holds)
    if holds:
        raise Refusal(409, "kept", reason="held", holds=holds)
    if activity not in (None, row["activity"]):  # it did something since the caller looked
        raise Refusal(409, "kept", reason="activity")


Release = namedtuple("Release", "resume_lock registry_lock pop teardown grave")

# From 0.16 on a request that still has the closed record must fail, so that its client knows: 0.19 would
# *queue* a prompt behind the tombstone or steer the closed agent with it, and session.activate would answer
# with the closed session. A queue that isn't one and a history that can't be listed make those requests
# raise, which the gateway answers with an error. 0.13 refuses on the tombstone alone, and an exception
# there would cost the client its socket: so no more than the tombstone.
GRAVE = {"_finalized": True, "agent": None, "queued_prompt": "closed", "display_history_prefix": True}


def _release(server):
    """The locks, the pop and the one teardown path of this release; raises if they aren't all there."""
    if hasattr(server, "_teardown_popped_session"):  # 0.19; its session recovery keys on the reason
        teardown = partial(server._teardown_popped_session, end_reason="ws_orphan_reap")
        return Release(server._session_resume_lock, server._sessions_lock, server._pop_session_by_id, teardown, GRAVE)
    pop = lambda sid: server._sessions.pop(sid, None)  # noqa: E731
    if hasattr(server, "_teardown_session"):  # 0.16
        return Release(server._session_resume_lock, server._sessions_lock, pop, server._teardown_session, GRAVE)
    if hasattr(server, "_sessions_lock") or hasattr(server, "_session_resume_lock"):
        raise AttributeError("no teardown path that this plugin knows")
    return Release(None, None, pop, partial(_teardown_0_13, server, server._finalize_session), {})


def _teardown_0_13(server, finalize, record):
    """What its session.close does, in its order."""
    finalize(record)
    key, approval = record.get("session_key"), sys.modules.get("tools.approval")
    others = [Session(server, *item) for item in list(server._sessions.items())]
    if approval is not None and not any(key in other.keys for other in others):
        approval.unregister_gateway_notify(key)  # unless another session has the key: then it's theirs
    if record.get("agent") is not None:
        record["agent"].close()


router = APIRouter()


# Plain `def`s: a teardown blocks for seconds, and in an `async def` would freeze the server.
@router.get("/sessions")
def get_sessions():
    status, content = table()
    return JSONResponse(content, status_code=status)


@router.post("/sessions/{sid}/reap")
def post_reap(sid: str, body: dict = Body(...)):
    status, content = reap(sid, body.get("instance"), body.get("activity"))
    return JSONResponse(content, status_code=status)
