"""gateway-reaper's view into a Hermes gateway: a session table, and a reap that only takes orphans.

    GET  /api/plugins/gateway-reaper/sessions             the table, read-only
    POST /api/plugins/gateway-reaper/sessions/<id>/reap   close this one *if* it is an orphan at this instant
    body: {"instance": "as in the table", "activity": "as in its row (optional: refuse if it changed)"}

The gateway mounts this file behind its own auth and runs it in its own process, so it keeps to these rules:

* It imports none of the gateway's modules (an import would start things); it looks at those already loaded.
* It patches nothing, writes no file and no database, and touches no timestamp of a session.
* A symbol that isn't where it should be, a lock that isn't free in time, anything it cannot read: "unknown",
  and the session is kept. It never guesses.
* Releases differ. What this gateway can be asked, and how, is said in one place (`capabilities`) and published
  with the table, so that a release that isn't understood is named and not passed over.
* It reads other modules' registries without their locks (copying a dict is atomic), so it can neither deadlock
  with them nor stall them. The gateway's session locks it takes in the gateway's own order, each with a
  timeout, and never while it tears something down.
"""
import gc
import hashlib
import inspect
import json
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

PLUGIN_VERSION = "1.1.0"
INSTANCE = f"{os.getpid()}-{secrets.token_hex(8)}"  # this run of the gateway
LOCK_TIMEOUT_S = 1.0  # short: others wait behind the locks we already hold
ONE_WALK = threading.Lock()

# Whose rows in state.db may be ended from here. Everything else (telegram, discord, ...) belongs to a
# messaging platform, and a client only viewed it. "tool" is the dashboard's own sidebar.
OUR_SOURCES = {"", "tui", "cli", "desktop", "webui", "tool"}

# A delegation in one of these may still end in work for its session. 0.17 has the first, 0.19 "finalizing", 0.20 all.
LIVE_DELEGATIONS = {"running", "stalling", "finalizing"}


def _sessions():
    """The gateway's module and its sessions. There are none until the first client came and loaded it."""
    main = getattr(getattr(sys.modules.get("__main__"), "__spec__", None), "name", None)
    if os.environ.get("HERMES_PLUGIN_HOST_PROCESS") == "1" or main == "hermes_cli.plugin_host_child":
        raise LookupError(
            "the plugin runs in Hermes' plugin host, where no session is to be seen: set plugins.isolation to "
            "in_process in config.yaml, then restart the dashboard")
    server = sys.modules.get("tui_gateway.server")
    if server is None and "hermes_cli.web_server" not in sys.modules:
        raise LookupError("the plugin doesn't run in the dashboard's own process, and sees no session from here")
    sessions = {} if server is None else getattr(server, "_sessions", None)
    if not isinstance(sessions, dict):
        raise LookupError("this gateway keeps its sessions where this plugin cannot see them")
    return server, sessions


def release():
    """The release of Hermes that runs here; None where it doesn't say."""
    try:
        return str(sys.modules["hermes_cli"].__version__)
    except Exception:
        return None


def _of_module(name, entries):
    """Entries of another module's registry, copied. A module that was never loaded has none."""
    module = sys.modules.get(name)
    return [] if module is None else list(entries(module))


def capabilities(server):
    """How this gateway is asked each thing that a reap rests on: the one place that knows how releases differ.

    "gateway": its own predicate answers. "records": this plugin looks at its records. "none": this release, or
    this run so far, has no such thing. "missing": neither is where a known release has it; nothing is reaped."""
    has = partial(hasattr, server)

    def of_module(name, predicate, registry, holder=None):
        module = sys.modules.get(name)
        if module is None:
            return "none"
        if predicate is not None and has(predicate):
            return "gateway"
        return "records" if hasattr(module if holder is None else getattr(module, holder, None), registry) else "missing"

    try:
        teardown = "gateway" if _release(server).resume_lock is not None else "records"
    except AttributeError:
        teardown = "missing"
    return {
        # A client that has gone leaves its session here: since 0.17 a place of its own, before it a stdio without a client.
        "detached-transport": "gateway" if has("_detached_ws_transport") else "records" if has("_stdio_transport") else "missing",
        # Before 0.16 only the records; since 0.21.3 only the predicate.
        "pending-request": "gateway" if has("_session_pending_kind") else "records" if has("_pending") else "missing",
        "approval": of_module("tools.approval", None, "_gateway_queues"),
        "background-process": of_module("tools.process_registry", None, "_running", "process_registry"),
        # Since 0.17; the predicate since 0.20.
        "delegation": of_module("tools.async_delegation", "_session_has_active_delegations", "_records"),
        # Since 0.17, one argument until 0.21.5.
        "watched-subagent": "gateway" if has("_child_run_active") else "none",
        # Schedules since 0.21, the predicate since 0.22.
        "wakeup-schedule": "gateway" if has("_session_owns_live_wakeup_schedule") else "records",
        "orphan-verdict": "gateway" if has("_ws_session_is_orphaned") else "none",
        "teardown": teardown,
    }


class Session:
    """What a session's record, and what others keep about it, say at this moment."""

    def __init__(self, server, sid, record, in_hand=None):
        self.server, self.sid, self.record, self.get, self.in_hand = server, sid, record, record.get, in_hand
        self.agent, self.worker = record.get("agent"), record.get("slash_worker")
        # Its durable ids. Two after a compression: the agent's is then ahead of the session's.
        self.keys = {key for key in (record.get("session_key"), getattr(self.agent, "session_id", None)) if key}

    def transport(self):
        """"attached", "detached", or None where that cannot be told."""
        return self.transport_of(self.get("transport"))

    def transport_of(self, transport):
        if transport is not None and transport is self.parking():
            return "detached"
        if type(transport).__name__ == "FanoutTransport":  # several windows, since 0.20
            # One that has left stays in the list while a write to it is under way.
            peers = [peer for peer in list(transport._peers) if peer.attached]
            seen = {self.transport_of(peer.transport) for peer in peers}
            return "attached" if "attached" in seen else "detached" if seen <= {"detached"} else None
        if type(transport).__name__ != "WSTransport":
            return None
        closed, socket = getattr(transport, "_closed", None), getattr(transport, "_ws", None)
        if closed is False:
            return "attached"
        # A request that finishes after its client has gone binds the session to the dead socket, and nothing
        # parks it any more. `_closed` alone is no proof (one slow write sets it): ask the socket.
        states = [getattr(getattr(socket, name, None), "name", "") for name in ("client_state", "application_state")]
        return "detached" if closed is True and "DISCONNECTED" in states else None

    def clients(self):
        """How many windows have it open, for people; None where that cannot be told."""
        transport = self.get("transport")
        try:
            if type(transport).__name__ != "FanoutTransport":
                return {"attached": 1, "detached": 0}.get(self.transport())
            peers = [peer.transport for peer in list(transport._peers) if peer.attached]
            return sum(self.transport_of(each) == "attached" for each in peers)
        except Exception:
            return None

    def last_active(self):
        """When it last did anything, in seconds since 1970, for people; None where that cannot be told."""
        seconds = self.get("last_active")
        return seconds if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) else None

    def parking(self):
        """Where the gateway itself puts a session whose client has gone; None where that cannot be told."""
        parking = getattr(self.server, "_detached_ws_transport", None)  # since 0.17, and nowhere else
        if parking is None and "hermes_cli.web_server" in sys.modules:
            main = getattr(sys.modules.get("__main__"), "__spec__", None)
            if not str(getattr(main, "name", "")).startswith("tui_gateway"):  # there stdio is a live client
                parking = getattr(self.server, "_stdio_transport", None)
        return parking

    def turn(self):
        """"idle", "running", "waiting", "starting", or None where that cannot be told."""
        try:
            if self.pending_request() or self.approval():
                return "waiting"
            # Since 0.20 a resumed session may first read its history.
            history, ready = self.get("resume_history_ready"), self.get("agent_ready")
            if history is not None and not history.is_set():
                return "starting"
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

    def pending_request(self):
        """A question to a person: clarify, sudo, secret, since 0.21.3 also approvals."""
        predicate = getattr(self.server, "_session_pending_kind", None)
        if predicate is not None:
            return bool(predicate(self.sid))
        return any(sid == self.sid for sid, _event in list(self.server._pending.values()))

    def approval(self):
        return any(_of_module("tools.approval", lambda it: [it._gateway_queues.get(key) for key in self.keys]))

    def background_process(self):
        """agent.close() would kill these: by task id; the registry knows them by session key as well."""
        running = _of_module("tools.process_registry", lambda it: it.process_registry._running.values())
        return any(not each.exited and {each.session_key, each.task_id} & self.keys for each in running)

    def delegation(self):
        """By its records; `holds_of_its_rows` asks the gateway's own predicate, which may wait for the database."""
        if self.agent is not None and list(self.agent._active_children):
            return True
        if self.watched_subagent():
            return True
        background = _of_module("tools.async_delegation", lambda it: it._records.values())
        live = [each for each in background if each["status"] in LIVE_DELEGATIONS]
        return any(self.owns(each) for each in live)

    def owns(self, delegation):
        """0.17 and 0.18 name the session only by its key. One that names none may be any session's."""
        names = [delegation.get(name) for name in ("origin_ui_session_id", "session_key", "parent_session_id")]
        if not any(names) and "session_key" not in delegation:
            raise LookupError("a delegation of which session?")
        return names[0] == self.sid or bool(set(names[1:]) & self.keys)

    def watched_subagent(self):
        """A window that watches a running subagent, which may be another profile's."""
        if not self.get("lazy"):
            return False
        runs, active = list(getattr(self.server, "_active_child_runs", ())), self.server._child_run_active
        homes = {run[0] for run in runs if isinstance(run, tuple)}
        if len(inspect.signature(active).parameters) == 1:
            return any(active(key) for key in self.keys)
        return any(active(key, home) for key in self.keys for home in homes | {self.get("profile_home")})

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
        return self.holds_of_its_source() + self.holds_of_its_work()

    def holds_of_its_work(self):
        """Those that the gateway's own predicates know of; each looks into the database."""
        holds = []
        for name, check in (("delegation", self.active_delegation), ("wakeup-schedule", self.wakeup_schedule)):
            try:
                if check():
                    holds.append(name)
            except Exception:
                holds.append("unknown-" + name)
        return holds

    def active_delegation(self):
        predicate = getattr(self.server, "_session_has_active_delegations", None)
        # It imports the registry; one that was never loaded has nothing to say.
        return predicate is not None and "tools.async_delegation" in sys.modules and predicate(self.sid, self.record)

    def wakeup_schedule(self):
        """An active /loop or /heartbeat, which this session's own poller fires: closed, it would be silent.

        The gateway's predicate says no where it cannot read, and so the rows are looked at as well."""
        predicate = getattr(self.server, "_session_owns_live_wakeup_schedule", None)
        if predicate is not None and predicate(self.record):
            return True
        database = self.database()
        if not hasattr(database, "get_meta"):  # no database, or of a release without schedules
            return False
        rows = [database.get_meta(f"{kind}:{key}") for kind in ("loop", "heartbeat") for key in self.keys]
        return any(json.loads(row).get("status") == "active" for row in rows if row)

    def database(self):
        """None where there is none at hand."""
        database = getattr(self.agent, "_session_db", None)
        return self.server._db if database is None and not self.get("profile_home") else database

    def holds_of_its_source(self):
        try:
            # Lets the registry notice recovered processes that ended since; they'd hold the session for ever.
            _of_module("tools.process_registry", lambda it: map(it.process_registry.has_active_for_session, self.keys))
            ours = OUR_SOURCES | {"subagent"} if self.get("lazy") else OUR_SOURCES  # a window that watched a subagent
            db, rows = self.database(), []
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
    "queued-prompt": lambda session: session.get("queued_prompt") or session.get("queued_prompts"),
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
        frames = [frame for frame in stacks.pop() if _is_gateways(frame, server)]
        if any(frame.f_code.co_name == "_notification_poller_loop" for frame in frames):
            continue  # it holds its session for life; undelivered_result speaks for it
        for frame in frames:
            found.update(id(value) for value in list(frame.f_locals.values()) if isinstance(value, dict))
    return found


def _is_gateways(frame, server):
    """Since 0.21 some of its functions live in modules of their own, next to it."""
    return frame.f_globals is vars(server) or str(frame.f_globals.get("__name__", "")).startswith("tui_gateway.")


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
    known = {} if server is None else capabilities(server)
    in_hand, rows = _records_in_hand(server) if sessions else (), []
    for sid, record in list(sessions.items()):
        try:
            session = Session(server, sid, record, in_hand)
            rows.append(_row(session, session.holds_of_its_rows()))
        except Exception:  # its worker may be any: the reader leaves them all alone
            rows.append({"id": str(sid), "holds": ["unknown-session"], "worker": "unknown"})
    return 200, {
        "version": 1,
        "gateway": {"pid": os.getpid(), "instance": INSTANCE, "release": release()},
        "capabilities": known,
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
        "holds": list(dict.fromkeys(session.holds() + holds_of_its_rows)),
        "clients": session.clients(),
        "last_active": session.last_active(),
    }
    row = {name: value for name, value in row.items() if value is not None}
    # It has none until its first slash command, and none again once that has died.
    return row | {"worker": {"pid": process.pid} if process is not None and process.returncode is None else None}


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
        missing = [name for name, way in capabilities(server).items() if way == "missing"]
        if missing:
            raise LookupError(f"this release of Hermes ({release()}) isn't understood: {', '.join(missing)}")
        session, path = Session(server, sid, sessions[sid]), _release(server)
        record = _claim(path, session, session.holds_of_its_rows(), activity)
    except Refusal as refusal:
        return refusal.args
    except Exception as error:
        return Refusal(503, "kept", reason="unknown-state", detail=f"{type(error).__name__}: {error}").args
    try:
        path.teardown(record)  # outside every lock: memory commits, hooks, processes, the database
    finally:
        if record.get("slash_worker") is not None:
            record["slash_worker"].close()  # idempotent; whatever failed above, the worker must not stay
    return 200, {"outcome": "reaped"}


def _claim(path, seen, holds_of_its_rows, activity):
    """Takes a session out of the registry if it is an orphan now, and returns its record."""
    server, sid, record = seen.server, seen.sid, seen.record
    with ExitStack() as held:
        for lock in (path.resume_lock, record["history_lock"], path.registry_lock):
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
        # A client is bound *without* a lock: look again, as late as can be.
        if session.transport() != "detached":
            raise Refusal(409, "kept", reason="attached")
        try:
            popped = path.pop(sid)
        except Exception:
            server._sessions.setdefault(sid, record)  # taken out and not torn down, it would leak for good
            raise
        if popped is None:  # 0.13 has no registry lock: its session.close was first
            raise Refusal(404, "gone")
        whole = dict(record)  # what is torn down
        # The tombstone, before history_lock is free: a prompt that has looked this session up and waits for the lock
        # finds a turn in flight, and is refused instead of lost. Not before the pop, which takes the time of a
        # session that runs for its last activity.
        record.update(path.grave, running=True)  # what a caller still has that looked it up before
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
    pop = lambda sid: server._sessions.pop(sid, None)  # noqa: E731
    teardown = getattr(server, "_teardown_popped_session", None) or getattr(server, "_teardown_session", None)
    if teardown is None:
        if hasattr(server, "_sessions_lock") or hasattr(server, "_session_resume_lock"):
            raise AttributeError("no teardown path that this plugin knows")
        server._finalize_session  # noqa: B018: raises
        return Release(None, None, pop, partial(_teardown_0_13, server), {})
    if hasattr(server, "_teardown_popped_session"):  # since 0.19
        pop = server._pop_session_by_id
    if "end_reason" in inspect.signature(teardown).parameters:  # since 0.17; session recovery keys on the reason
        teardown = partial(teardown, end_reason="ws_orphan_reap")
    return Release(server._session_resume_lock, server._sessions_lock, pop, teardown, GRAVE)


def _teardown_0_13(server, record):
    """What its session.close does, in its order."""
    server._finalize_session(record)
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
