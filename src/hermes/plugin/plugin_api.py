"""gateway-reaper's view into a Hermes gateway: a session table, and a reap that only takes orphans.

    GET  /api/plugins/gateway-reaper/sessions             the table, read-only
    POST /api/plugins/gateway-reaper/sessions/<id>/reap   close this one *if* it is an orphan at this instant
    body: {"instance": "as in the table", "activity": "as in its row (optional: refuse if it changed)"}

The gateway mounts this file behind its own auth. It runs inside the gateway's process, so it keeps to
these rules:

* It imports none of the gateway's modules (an import would start things); it looks at those already loaded.
* It patches nothing, writes no file and no database, and touches no timestamp of a session.
* A symbol that isn't where it should be, a lock that isn't free in time, anything it cannot read:
  "unknown", and the session is kept. It never guesses.
* It reads other modules' registries without their locks (copying a dict is atomic), so it can neither
  deadlock with them nor stall them. The gateway's session locks it takes in the gateway's own order,
  each with a timeout, and never while it tears something down.

Handlers are plain `def`: a teardown blocks for seconds, and in an `async def` would freeze the server.
"""
import hashlib
import os
import secrets
import sys
from contextlib import ExitStack

PLUGIN_VERSION = "1.0.0"
INSTANCE = f"{os.getpid()}-{secrets.token_hex(8)}"  # this run of the gateway
LOCK_TIMEOUT_S = 1.0  # short: others wait behind the locks we already hold

# Whose rows in state.db may be ended from here. Everything else (telegram, discord, ...) belongs to a
# messaging platform, and a client only viewed it. "tool" is the dashboard's own sidebar.
OUR_SOURCES = {"", "tui", "cli", "desktop", "webui", "tool"}


def _gateway():
    """The gateway's module, or None: no client came yet, so there are no sessions."""
    return sys.modules.get("tui_gateway.server")


def _keys(session):
    """The durable ids of a session. Two after a compression: the agent's is ahead of the session's."""
    keys = (session.get("session_key"), getattr(session.get("agent"), "session_id", None))
    return {key for key in keys if key}


# ── what a session is doing ──


def _transport(server, session):
    """"attached", "detached", or None where that cannot be told."""
    transport = session.get("transport")
    if _is_parked(server, transport):
        return "detached"
    if type(transport).__name__ != "WSTransport":
        return None
    closed = getattr(transport, "_closed", None)
    if closed is False:
        return "attached"
    # A request that finishes after its client has gone binds the session to the dead socket, and nothing
    # parks it any more. `_closed` alone is no proof (one slow write sets it): ask the socket.
    socket = getattr(transport, "_ws", None)
    states = [getattr(getattr(socket, name, None), "name", "") for name in ("client_state", "application_state")]
    return "detached" if closed is True and "DISCONNECTED" in states else None


def _is_parked(server, transport):
    """Where the gateway itself puts a session whose client has gone."""
    parked = getattr(server, "_detached_ws_transport", None)  # since 0.19, and nowhere else
    if parked is None and _is_web_server():
        parked = getattr(server, "_stdio_transport", None)  # before that; here nobody reads stdio
    return parked is not None and transport is parked


def _is_web_server():
    """False in a standalone `hermes --tui`, where stdio is a live client."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return "hermes_cli.web_server" in sys.modules and not str(getattr(spec, "name", "")).startswith("tui_gateway")


def _turn(server, sid, session):
    """"idle", "running", "waiting", "starting", or None where that cannot be told."""
    try:
        if any(owner == sid for owner, _event in list(server._pending.values())) or _approval(server, sid, session):
            return "waiting"  # clarify, sudo, secret; approval
        ready = session.get("agent_ready")
        if ready is not None and not ready.is_set():
            # A lazy watch session never builds an agent and is no less idle for that.
            if session.get("agent_build_started") or not session.get("lazy"):
                return "starting"
        return "running" if session["running"] else "idle"
    except Exception:
        return None


# ── reasons to keep a session; one that cannot be read keeps it too (see _holds) ──


def _approval(server, sid, session):
    module = sys.modules.get("tools.approval")
    return module is not None and any(module._gateway_queues.get(key) for key in _keys(session))


def _background_process(server, sid, session):
    """agent.close() would kill these: by task id; the registry knows them by session key as well."""
    module = sys.modules.get("tools.process_registry")
    if module is None:
        return False
    running, keys = list(module.process_registry._running.values()), _keys(session)
    return any(not process.exited and {process.session_key, process.task_id} & keys for process in running)


def _delegation(server, sid, session):
    agent, keys = session.get("agent"), _keys(session)
    if agent is not None and list(agent._active_children):
        return True
    if session.get("lazy") and any(server._child_run_active(key) for key in keys):
        return True  # a window that watches a running subagent
    module = sys.modules.get("tools.async_delegation")  # background delegations, 0.19
    records = [] if module is None else list(module._records.values())
    return any(
        record["status"] == "running"
        and (record["origin_ui_session_id"] == sid or {record["session_key"], record.get("parent_session_id")} & keys)
        for record in records
    )


def _undelivered_result(server, sid, session):
    """A finished process or delegation whose result this session's own poller is about to turn into a turn."""
    module, stop = sys.modules.get("tools.process_registry"), session.get("_notif_stop")
    if module is None or stop is None or stop.is_set():
        return False
    events, keys = list(module.process_registry.completion_queue.queue), _keys(session)
    return any(event.get("origin_ui_session_id") == sid or event.get("session_key") in keys for event in events)


def _slash_command(server, sid, session):
    worker = session.get("slash_worker")
    return worker is not None and worker._lock.locked()


def _records_in_hand(server):
    """The ids of the records that a thread of the gateway has in hand, as a variable of a function under way.

    That is a request in flight (a compression, a prompt that just looked its session up), a background
    prompt, or the tail of a turn, which may yet start the next one: none of these shows in the record."""
    if not hasattr(sys, "_current_frames"):  # CPython's
        return None
    found = set()
    for frame in sys._current_frames().values():
        in_hand = set()
        while frame is not None:
            if frame.f_globals is vars(server):
                if frame.f_code.co_name == "_notification_poller_loop":
                    in_hand.clear()  # it holds its session for life; _undelivered_result speaks for it
                    break
                in_hand.update(id(value) for value in list(frame.f_locals.values()) if isinstance(value, dict))
            frame = frame.f_back
        found |= in_hand
    return found


def _shared_key(server, sid, session):
    """0.13 makes a second live session for a key that is resumed, and most of a teardown goes by the key."""
    keys = _keys(session)
    return any(
        other is not session and keys & _keys(other)
        and (_transport(server, other) != "detached" or _turn(server, other_sid, other) != "idle")
        for other_sid, other in list(server._sessions.items())
    )


HOLDS = (
    ("approval", _approval),
    ("background-process", _background_process),
    ("delegation", _delegation),
    ("undelivered-result", _undelivered_result),
    ("slash-command", _slash_command),
    ("shared-key", _shared_key),
    ("queued-prompt", lambda server, sid, session: bool(session.get("queued_prompt"))),
    ("compute-host", lambda server, sid, session: bool(session.get("_compute_host_active"))),
    ("closing", lambda server, sid, session: bool(session.get("_finalized"))),
)


def _holds(server, sid, session, in_hand):
    holds = ["unknown-in-use"] if in_hand is None else ["in-use"] if id(session) in in_hand else []
    for name, check in HOLDS:
        try:
            if check(server, sid, session):
                holds.append(name)
        except Exception:
            holds.append("unknown-" + name)
    return holds


def _ownership(server, session):
    """Holds that the session's rows in state.db ask for. Takes the database's lock: never call it under ours."""
    try:
        if str(session.get("source") or "").lower() not in _our_sources(session):
            return ["not-ours"]
        db = getattr(session.get("agent"), "_session_db", None)
        if db is None and not session.get("profile_home"):
            db = server._db
            if db is None and not server._db_error:
                return []  # never opened, so nothing was resumed from it
        for key in _keys(session):
            row = db.get_session(key) or {}
            if str(row.get("source") or "").lower() not in _our_sources(session):
                return ["not-ours"]
            if row.get("handoff_state") in ("pending", "running"):
                return ["handoff"]  # on its way to a messaging platform
        return []
    except Exception:
        return ["unknown-source"]


def _our_sources(session):
    return OUR_SOURCES | {"subagent"} if session.get("lazy") else OUR_SOURCES  # a window that watched a subagent


# ── the table ──


def _activity(session):
    """Differs whenever the session did anything: turns, history, clients, slash commands, attachments."""
    worker, agent = session.get("slash_worker"), session.get("agent")
    seen = [session.get(name) for name in ("history_version", "running", "last_active", "image_counter", "cols", "cwd")]
    seen += [len(session.get(name) or ()) for name in ("history", "attached_images", "edit_snapshots")]
    seen += [id(session.get("transport")), id(agent), id(worker), getattr(worker, "_seq", None), sorted(_keys(session))]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def _row(server, sid, session, in_hand):
    row = {"id": str(sid)}
    try:
        _refresh_processes(session)
        row["key"] = str(session.get("session_key") or sid)
        row["close_on_disconnect"] = bool(session.get("close_on_disconnect"))
        row["activity"] = _activity(session)
        row["holds"] = _holds(server, sid, session, in_hand) + _ownership(server, session)
        for name, value in (("transport", _transport(server, session)), ("turn", _turn(server, sid, session))):
            if value is not None:  # an absent field is "unknown" to the reader, which keeps the session
                row[name] = value
        process = getattr(session.get("slash_worker"), "proc", None)
        if process is not None and process.returncode is None:
            row["worker"] = {"pid": process.pid}
    except Exception:
        row["holds"] = ["unknown-session"]
    return row


def _refresh_processes(session):
    """Lets the registry notice recovered processes that ended since; they'd hold the session for ever."""
    try:
        for key in _keys(session):
            sys.modules["tools.process_registry"].process_registry.has_active_for_session(key)
    except Exception:
        pass  # _background_process decides, from what it can read


def table():
    server = _gateway()
    live = {} if server is None else getattr(server, "_sessions", None)
    if not isinstance(live, dict):
        return 503, {"error": "this gateway keeps its sessions where this plugin cannot see them"}
    in_hand = _records_in_hand(server) if live else ()
    return 200, {
        "version": 1,
        "gateway": {"pid": os.getpid(), "instance": INSTANCE},
        "plugin": {"name": "gateway-reaper", "version": PLUGIN_VERSION},
        "sessions": [_row(server, sid, session, in_hand) for sid, session in list(live.items())],
    }


# ── the reap ──


def reap(sid, instance, activity=None):
    server = _gateway()
    if instance != INSTANCE:
        return 412, {"outcome": "kept", "reason": "instance"}
    live = {} if server is None else getattr(server, "_sessions", None)
    if not isinstance(live, dict):
        return 503, {"outcome": "kept", "reason": "unknown-state", "detail": "no session registry"}
    if sid not in live:
        return 404, {"outcome": "gone"}
    try:
        session, release = live[sid], _release(server)
        _refresh_processes(session)
        vetted = _keys(session), _ownership(server, session)  # before the locks: it may wait for the database
        refusal, record = _claim(server, release, sid, session, *vetted, activity)
    except Exception as error:
        return 503, {"outcome": "kept", "reason": "unknown-state", "detail": type(error).__name__ + ": " + str(error)}
    if refusal:
        return refusal
    try:
        release["teardown"](record)  # outside every lock: memory commits, hooks, processes, the database
    finally:
        if record.get("slash_worker") is not None:
            record["slash_worker"].close()  # idempotent; whatever failed above, the worker must not stay
    return 200, {"outcome": "reaped"}


def _claim(server, release, sid, session, keys, ownership, activity):
    """Take the session out of the registry if it is an orphan now: (refusal, None) or (None, its record)."""
    with ExitStack() as held:
        for lock in (release["resume_lock"], session["history_lock"], release["registry_lock"]):
            if lock is not None:
                if not lock.acquire(timeout=LOCK_TIMEOUT_S):
                    return (503, {"outcome": "kept", "reason": "lock-timeout"}), None
                held.callback(lock.release)
        if server._sessions.get(sid) is not session:
            return (404, {"outcome": "gone"}), None
        transport, turn = _transport(server, session), _turn(server, sid, session)
        holds = _holds(server, sid, session, _records_in_hand(server)) + ownership
        if _keys(session) != keys:
            holds.append("unknown-source")  # it moved to another row since that was looked up
        if transport == "attached":
            return (409, {"outcome": "kept", "reason": "attached"}), None
        if turn in ("running", "waiting", "starting"):
            return (409, {"outcome": "kept", "reason": "mid-turn" if turn == "running" else turn}), None
        if transport is None or turn is None or any(hold.startswith("unknown-") for hold in holds):
            return (503, {"outcome": "kept", "reason": "unknown-state", "holds": holds}), None
        if holds:
            return (409, {"outcome": "kept", "reason": "held", "holds": holds}), None
        if activity not in (None, _activity(session)):  # it did something since the caller looked
            return (409, {"outcome": "kept", "reason": "activity"}), None
        verdict = getattr(server, "_ws_session_is_orphaned", None)  # the gateway's own, on what it parked itself
        if verdict is not None and _is_parked(server, session["transport"]) and not verdict(session):
            if _transport(server, session) == "detached":  # else a client came just now, see below
                return (503, {"outcome": "kept", "reason": "unknown-state", "detail": "the gateway disagrees"}), None
        # The tombstone: a prompt that has looked this session up and now waits for history_lock finds a
        # turn in flight, and is refused instead of lost. Its client is bound *without* a lock: look again.
        session["running"] = True
        popped = None
        try:
            if _transport(server, session) != "detached":
                return (409, {"outcome": "kept", "reason": "attached"}), None
            popped = release["pop"](sid)
            if popped is None:  # 0.13 has no registry lock: its session.close was first
                return (404, {"outcome": "gone"}), None
        finally:
            if popped is None:
                session["running"] = False
        record = dict(session, running=False)  # what is torn down
        session.update(release["grave"])  # what stays in the hands of whoever looked it up before
        return None, record


# From 0.16 on a request that still has the closed record must fail, so that its client knows: 0.19 would
# *queue* a prompt behind the tombstone or steer the closed agent with it, and session.activate would answer
# with the closed session. A queue that isn't one and a history that can't be listed make those requests
# raise, which the gateway answers with an error. 0.13 refuses on the tombstone alone, and an exception
# there would cost the client its socket: so no more than the tombstone.
GRAVE = {"_finalized": True, "agent": None, "queued_prompt": "closed", "display_history_prefix": True}


def _release(server):
    """The locks, the pop and the one teardown path of this release; raises if they aren't all there."""
    if hasattr(server, "_teardown_popped_session"):  # 0.19; its session recovery keys on the reason
        teardown = server._teardown_popped_session
        return {"resume_lock": server._session_resume_lock, "registry_lock": server._sessions_lock,
                "pop": server._pop_session_by_id, "grave": GRAVE,
                "teardown": lambda record: teardown(record, end_reason="ws_orphan_reap")}
    pop = lambda sid: server._sessions.pop(sid, None)  # noqa: E731
    if hasattr(server, "_teardown_session"):  # 0.16
        return {"resume_lock": server._session_resume_lock, "registry_lock": server._sessions_lock,
                "pop": pop, "grave": GRAVE, "teardown": server._teardown_session}
    if hasattr(server, "_sessions_lock") or hasattr(server, "_session_resume_lock"):
        raise AttributeError("no teardown path that this plugin knows")
    finalize = server._finalize_session  # 0.13: what its session.close does, in its order
    return {"resume_lock": None, "registry_lock": None, "pop": pop, "grave": {},
            "teardown": lambda record: _teardown_0_13(server, finalize, record)}


def _teardown_0_13(server, finalize, record):
    finalize(record)
    key, approval = record.get("session_key"), sys.modules.get("tools.approval")
    if approval is not None and not any(key in _keys(other) for other in list(server._sessions.values())):
        approval.unregister_gateway_notify(key)  # unless another session has the key: then it's theirs
    if record.get("agent") is not None:
        record["agent"].close()


# ── routes ──

try:
    from fastapi import APIRouter, Body
    from fastapi.responses import JSONResponse
except ImportError:  # without it there is no web server to mount this; the functions above can be tested
    router = None
else:
    router = APIRouter()

    @router.get("/sessions")
    def get_sessions():
        status, content = table()
        return JSONResponse(content, status_code=status)

    @router.post("/sessions/{sid}/reap")
    def post_reap(sid: str, body: dict = Body(...)):
        status, content = reap(sid, body.get("instance"), body.get("activity"))
        return JSONResponse(content, status_code=status)
