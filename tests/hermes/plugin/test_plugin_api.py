"""Tests of the Hermes plugin that need no gateway: its modules are faked in sys.modules.

    python3 -m unittest discover -s tests
"""
import ast
import collections
import copy
import gc
import importlib.util
import inspect
import json
import os
import queue
import sys
import threading
import types
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLUGIN = Path(os.environ.get("GATEWAY_REAPER_PLUGIN") or HERE.parent / "gateway_reaper" / "dashboard" / "plugin_api.py")
RELEASES = ("0.13", "0.16", "0.17", "0.19", "0.21", "0.22")  # 0.21 is 0.21.0; 0.22 as from 0.21.3 on but for schedules
FAKED = ("tui_gateway.server", "hermes_cli", "tools.approval", "tools.process_registry", "tools.async_delegation", "hermes_cli.web_server",
         "fastapi", "fastapi.responses")


def load_plugin():
    spec = importlib.util.spec_from_file_location("plugin_under_test", PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.LOCK_TIMEOUT_S = 0.05
    return module


def fake_fastapi():
    """The little that the plugin needs of it; returns the routes that it will have."""
    routes = {}

    class Router:
        def get(self, path):
            return lambda function: routes.setdefault(("GET", path), function)

        def post(self, path):
            return lambda function: routes.setdefault(("POST", path), function)

    fastapi, responses = types.ModuleType("fastapi"), types.ModuleType("fastapi.responses")
    fastapi.APIRouter, fastapi.Body = Router, lambda default: default
    responses.JSONResponse = lambda content, status_code: (status_code, content)
    sys.modules.update({"fastapi": fastapi, "fastapi.responses": responses})
    return routes


class WSTransport:
    """The shape of tui_gateway.ws.WSTransport."""

    def __init__(self, closed=False, client="CONNECTED", application="CONNECTED"):
        self._closed = closed
        self._ws = types.SimpleNamespace(client_state=types.SimpleNamespace(name=client),
                                         application_state=types.SimpleNamespace(name=application))


class FanoutTransport:
    """The shape of tui_gateway.transport.FanoutTransport."""

    def __init__(self, *transports):
        self._peers = [types.SimpleNamespace(transport=transport, attached=True) for transport in transports]


class Worker:
    def __init__(self, pid=4711, returncode=None):
        self._lock, self._seq, self.closed = threading.Lock(), 0, 0
        self.proc = types.SimpleNamespace(pid=pid, returncode=returncode)

    def close(self):
        self.closed += 1


class Agent:
    def __init__(self, session_id="k1"):
        self.session_id, self._active_children, self._session_db, self.closed = session_id, [], None, 0

    def close(self):
        self.closed += 1


class Db:
    def __init__(self, **sources):
        self.rows = {key: {"id": key, "source": source} for key, source in sources.items()}

    def get_session(self, key):
        return self.rows.get(key)


class DbWithSchedules(Db):
    """Since 0.21: /loop and /heartbeat keep their state in rows of `state_meta`."""

    def __init__(self, **sources):
        super().__init__(**sources)
        self.meta = {}

    def get_meta(self, key):
        return self.meta.get(key)


# Runs with the fake module's globals, as the gateway's own functions run with theirs.
SERVER_CODE = """
def handler(params):
    session = _sessions[params]
    entered.set(); leave.wait(5)

def _notification_poller_loop(session):
    helper(session)

def helper(session):
    entered.set(); leave.wait(5)

def prompt_submit(sid, text, transport, looked_up, go_on):
    session = _sessions.get(sid)
    looked_up.set(); go_on.wait(5)
    if BINDS:
        session["transport"] = transport
    with session["history_lock"]:
        if session.get("running"):
            if not QUEUES:
                return "busy"
            if session.get("agent") is not None and steers:
                return "steered"
            existing = session.get("queued_prompt")
            if existing and isinstance(existing.get("text"), str):
                text = existing["text"] + text
            session["queued_prompt"] = {"text": text}
            return "queued"
        session["running"] = True
        return "streaming"

def session_activate(sid, looked_up, go_on):
    session = _sessions.get(sid)
    looked_up.set(); go_on.wait(5)
    with session["history_lock"]:
        return list(session.get("display_history_prefix") or []) + list(session.get("history") or [])
"""


class Gateway:
    """A fake of the gateway's modules, in the shape of one release."""

    def __init__(self, release):
        self.release = release
        self.log, self.teardown_reasons, self.active_when_popped = [], [], []
        server = self.server = types.ModuleType("tui_gateway.server")
        server._sessions, server._db_error = {}, None
        server._db = DbWithSchedules() if self.since("0.21") else Db()
        server._stdio_transport = object()
        server.entered, server.leave = threading.Event(), threading.Event()
        server.BINDS, server.QUEUES, server.steers = self.since("0.16"), self.since("0.19"), False
        self.pending = {}
        if not self.since("0.22"):
            server._pending = self.pending
        if self.since("0.16"):
            server._session_pending_kind = lambda sid: next((kind for kind, (owner, _) in self.pending.items() if owner == sid), "")
        if self.since("0.22"):
            self.child_runs = server._active_child_runs = {}
            server._child_run_active = lambda key, profile_home: (profile_home, key) in self.child_runs
            server._session_owns_live_wakeup_schedule = lambda session: False
        elif self.since("0.17"):
            self.child_runs = server._active_child_runs = {}
            server._child_run_active = lambda key: key in self.child_runs
        if self.since("0.21"):
            server._session_has_active_delegations = lambda sid, session: False
        exec(SERVER_CODE, vars(server))
        server._finalize_session = self.finalize
        if self.since("0.16"):
            server._session_resume_lock = threading.Lock()
            server._sessions_lock = threading.RLock() if self.since("0.17") else threading.Lock()
            server._teardown_session = self.teardown_session if self.since("0.17") else self.teardown_session_0_16
            server._ws_session_is_orphaned = lambda session: not session["running"] and session["transport"] is self.parked()
        if self.since("0.17"):
            server._detached_ws_transport = object()
        if self.since("0.19"):
            server._pop_session_by_id = self.pop
            server._teardown_popped_session = self.teardown_session
        hermes_cli = types.ModuleType("hermes_cli")
        hermes_cli.__version__ = release + ".0"
        self.approval = types.ModuleType("tools.approval")
        self.approval._gateway_queues = {}
        self.approval.unregister_gateway_notify = lambda key: self.log.append(("unregister", key))
        self.processes = types.ModuleType("tools.process_registry")
        self.processes.process_registry = types.SimpleNamespace(
            _running={}, completion_queue=queue.Queue(), has_active_for_session=lambda key: False)
        sys.modules.pop("tools.async_delegation", None)
        for name, module in (("tui_gateway.server", server), ("tools.approval", self.approval),
                             ("tools.process_registry", self.processes), ("hermes_cli", hermes_cli),
                             ("hermes_cli.web_server", types.ModuleType("hermes_cli.web_server"))):
            sys.modules[name] = module

    def since(self, release):
        return RELEASES.index(self.release) >= RELEASES.index(release)

    def parked(self):
        return self.server._detached_ws_transport if self.since("0.17") else self.server._stdio_transport

    def session(self, sid="s1", key="k1", **fields):
        ready = threading.Event()
        ready.set()
        session = {"agent": Agent(key), "agent_ready": ready, "session_key": key, "running": False, "history": [],
                   "history_lock": threading.Lock(), "history_version": 0, "slash_worker": Worker(),
                   "transport": self.parked()}
        session.update(fields)
        self.server._sessions[sid] = session
        return session

    def pop(self, sid):
        with self.server._sessions_lock:
            session = self.server._sessions.pop(sid, None)
        if session is not None:
            session["_sid"], session["_closing"] = sid, True
            self.active_when_popped.append(session["running"])
        return session

    def locks(self, record):
        server = self.server
        return [lock for lock in (record["history_lock"], getattr(server, "_session_resume_lock", None),
                                  getattr(server, "_sessions_lock", None)) if lock is not None]

    def finalize(self, record, end_reason="tui_close"):
        self.log.append(("finalize", record["session_key"]))
        self.check_free(record)

    def teardown_session(self, record, *, end_reason="tui_close"):
        self.log.append(("teardown", record["session_key"]))
        self.teardown_reasons.append(end_reason)
        self.torn = record
        self.check_free(record)
        if record["agent"] is not None:
            record["agent"].close()

    def teardown_session_0_16(self, record):
        self.teardown_session(record)

    def check_free(self, record):
        """Teardown must run outside every lock: another thread can take them all."""
        free = []

        def take():
            for lock in self.locks(record):
                free.append(lock.acquire(timeout=1))
                if free[-1]:
                    lock.release()

        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
        self.locks_free = all(free)


class Case(unittest.TestCase):
    def setUp(self):
        self.saved = {name: sys.modules.get(name) for name in FAKED}
        for name in FAKED:
            sys.modules.pop(name, None)
        self.routes = fake_fastapi()
        self.plugin = load_plugin()

    def tearDown(self):
        for name, module in self.saved.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module

    def each_release(self):
        for release in RELEASES:
            with self.subTest(release=release):
                yield Gateway(release)

    def row(self, sid="s1"):
        status, content = self.plugin.table()
        self.assertEqual(status, 200)
        json.dumps(content)
        return next(row for row in content["sessions"] if row["id"] == sid)

    def reap(self, sid="s1", instance=None):
        status, content = self.plugin.reap(sid, self.plugin.INSTANCE if instance is None else instance)
        json.dumps(content)
        return status, content

    def assert_kept(self, gateway, session, status, reason, sid="s1"):
        running = session.get("running")
        got, content = self.reap(sid)
        self.assertEqual((got, content["outcome"], content["reason"]), (status, "kept", reason))
        self.assertIs(gateway.server._sessions[sid], session)
        self.assertEqual(session.get("running"), running, "a tombstone was left behind")
        self.assertEqual(gateway.log, [])
        if session.get("slash_worker"):
            self.assertEqual(session["slash_worker"].closed, 0)
        return content


class TableTest(Case):
    def test_no_client_came_yet(self):
        sys.modules["hermes_cli.web_server"] = types.ModuleType("hermes_cli.web_server")
        status, content = self.plugin.table()
        self.assertEqual((status, content["sessions"], content["version"]), (200, [], 1))
        self.assertEqual(content["gateway"], {"pid": os.getpid(), "instance": self.plugin.INSTANCE, "release": None})
        self.assertEqual(content["capabilities"], {})
        self.assertEqual(content["plugin"]["version"], self.plugin.PLUGIN_VERSION)
        self.assertNotIn("tui_gateway.server", sys.modules)

    def test_elsewhere_than_in_the_dashboards_process_there_is_no_table(self):
        status, content = self.plugin.table()
        self.assertEqual(status, 503)
        self.assertNotIn("sessions", content)
        self.assertEqual(self.reap()[0], 503)

    def test_in_the_plugin_host_there_is_no_table(self):
        gateway = Gateway("0.22")
        gateway.session()
        os.environ["HERMES_PLUGIN_HOST_PROCESS"] = "1"
        self.addCleanup(os.environ.pop, "HERMES_PLUGIN_HOST_PROCESS")
        for modules in (["tui_gateway.server", "hermes_cli.web_server"], ["tui_gateway.server"], []):
            for name in ("tui_gateway.server", "hermes_cli.web_server"):
                if name not in modules:
                    sys.modules.pop(name, None)
            status, content = self.plugin.table()
            self.assertEqual(status, 503)
            self.assertNotIn("sessions", content)
            self.assertIn("plugins.isolation", content["error"])
            self.assertEqual(self.reap()[0], 503)

    def test_the_release_and_what_it_can_be_asked(self):
        ways = {}
        for gateway in self.each_release():
            gateway.session()
            content = self.plugin.table()[1]
            self.assertEqual(content["gateway"]["release"], gateway.release + ".0")
            ways[gateway.release] = content["capabilities"]
            self.assertNotIn("missing", content["capabilities"].values())
        self.assertEqual(ways["0.13"]["pending-request"], "records")
        self.assertEqual(ways["0.22"]["pending-request"], "gateway")
        self.assertEqual([ways[release]["wakeup-schedule"] for release in ("0.21", "0.22")], ["records", "gateway"])
        self.assertEqual([ways[release]["teardown"] for release in ("0.13", "0.16")], ["records", "gateway"])
        self.assertEqual([ways[release]["delegation"] for release in ("0.13", "0.19", "0.21")], ["none"] * 3)
        for release, way in (("0.19", "records"), ("0.21", "gateway"), ("0.22", "gateway")):
            gateway = Gateway(release)
            sys.modules["tools.async_delegation"] = types.ModuleType("tools.async_delegation")
            sys.modules["tools.async_delegation"]._records = {}
            self.assertEqual(self.plugin.capabilities(gateway.server)["delegation"], way)

    def test_a_capability_that_is_missing_is_named_and_nothing_is_reaped(self):
        cases = {
            "detached-transport": lambda gateway: [delattr(gateway.server, name) for name in ("_detached_ws_transport", "_stdio_transport")
                                                   if hasattr(gateway.server, name)],
            "pending-request": lambda gateway: [delattr(gateway.server, name) for name in ("_pending", "_session_pending_kind")
                                                if hasattr(gateway.server, name)],
            "approval": lambda gateway: delattr(gateway.approval, "_gateway_queues"),
            "background-process": lambda gateway: delattr(gateway.processes.process_registry, "_running"),
            "teardown": lambda gateway: [delattr(gateway.server, name) for name in ("_teardown_session", "_teardown_popped_session",
                                         "_finalize_session") if hasattr(gateway.server, name)],
        }
        for name, spoil in cases.items():
            with self.subTest(capability=name):
                for gateway in self.each_release():
                    session = gateway.session()
                    spoil(gateway)
                    self.assertEqual(self.plugin.table()[1]["capabilities"][name], "missing")
                    content = self.assert_kept(gateway, session, 503, "unknown-state")
                    self.assertIn(name, content["detail"])

    def test_an_unreadable_registry_is_no_empty_table(self):
        gateway = Gateway("0.19")
        del gateway.server._sessions
        status, content = self.plugin.table()
        self.assertEqual(status, 503)
        self.assertNotIn("sessions", content)
        self.assertEqual(self.reap()[0], 503)

    def test_a_plain_orphan(self):
        for gateway in self.each_release():
            gateway.session(close_on_disconnect=True)
            row = self.row()
            self.assertEqual({name: row[name] for name in row if name != "activity"},
                             {"id": "s1", "key": "k1", "close_on_disconnect": True, "holds": [], "transport": "detached",
                              "turn": "idle", "clients": 0, "worker": {"pid": 4711}})

    def test_reading_changes_nothing(self):
        for gateway in self.each_release():
            session = gateway.session(last_active=1.0, queued_prompt={"text": "x"})
            plain = {key: value for key, value in session.items() if isinstance(value, (str, int, float, list, dict))}
            before, modules = copy.deepcopy(plain), set(sys.modules)
            for _ in range(3):
                self.row()
            self.assertEqual({key: session[key] for key in before}, before)
            self.assertEqual(set(sys.modules), modules)

    def test_instance_is_new_at_every_start(self):
        self.assertNotEqual(load_plugin().INSTANCE, load_plugin().INSTANCE)

    def test_worker(self):
        for gateway in self.each_release():
            session = gateway.session(slash_worker=None)
            self.assertIsNone(self.row()["worker"])
            session["slash_worker"] = Worker(pid=12, returncode=-15)
            self.assertIsNone(self.row()["worker"])

    def test_a_session_that_cannot_be_read_is_listed_and_held(self):
        gateway = Gateway("0.19")
        gateway.server._sessions["s1"] = None
        row = self.row()
        self.assertEqual(row["holds"], ["unknown-session"])
        self.assertNotIsInstance(row["worker"], dict, "it may be any of the workers, and none of them may be taken for nobody's")
        self.assertNotIn("turn", row)
        self.assertEqual(self.reap()[0], 503)
        self.assertIn("s1", gateway.server._sessions)

    def test_activity(self):
        gateway = Gateway("0.19")
        session = gateway.session(last_active=1.0, image_counter=0, attached_images=[], edit_snapshots={})
        seen = [self.row()["activity"]]
        self.assertEqual(self.row()["activity"], seen[0])

        def slash():
            session["slash_worker"]._seq += 1

        for change in (lambda: session.update(history_version=1), lambda: session["history"].append({}),
                       lambda: session.update(running=True), lambda: session.update(last_active=2.0), slash,
                       lambda: session.update(transport=WSTransport()), lambda: session.update(slash_worker=Worker()),
                       lambda: session.update(session_key="k2"), lambda: session["attached_images"].append("a")):
            change()
            seen.append(self.row()["activity"])
        self.assertEqual(len(set(seen)), len(seen))


class TransportTest(Case):
    def check(self, gateway, transport, expected):
        session = gateway.session(transport=transport)
        row = self.row()
        self.assertEqual(row.get("transport"), expected)
        if expected == "attached":
            self.assert_kept(gateway, session, 409, "attached")
        elif expected is None:
            self.assertNotIn("transport", row)
            self.assert_kept(gateway, session, 503, "unknown-state")

    def test_sockets(self):
        for gateway in self.each_release():
            self.check(gateway, WSTransport(), "attached")
            self.check(gateway, WSTransport(closed=True, client="DISCONNECTED"), "detached")
            self.check(gateway, WSTransport(closed=True, application="DISCONNECTED"), "detached")
            self.check(gateway, WSTransport(closed=True), None)  # one slow write, the client may be there
            self.check(gateway, WSTransport(closed=None, client="DISCONNECTED"), None)
            self.check(gateway, types.SimpleNamespace(_closed=True), None)
            self.check(gateway, None, None)

    def test_several_windows(self):
        gone = WSTransport(closed=True, client="DISCONNECTED")
        for gateway in self.each_release():
            self.check(gateway, FanoutTransport(WSTransport(), gone), "attached")
            self.check(gateway, FanoutTransport(WSTransport(), types.SimpleNamespace()), "attached")
            self.check(gateway, FanoutTransport(), "detached")
            self.check(gateway, FanoutTransport(gone, gone), "detached")
            self.check(gateway, FanoutTransport(gone, WSTransport(closed=True)), None)
            self.check(gateway, types.new_class("FanoutTransport")(), None)
            leaving = FanoutTransport(WSTransport())
            leaving._peers[0].attached = False
            self.check(gateway, leaving, "detached")

    def test_the_number_of_windows_is_told_where_it_is_known(self):
        gone, odd = WSTransport(closed=True, client="DISCONNECTED"), WSTransport(closed=True)
        leaving = FanoutTransport(WSTransport(), WSTransport())
        leaving._peers[0].attached = False
        for gateway in self.each_release():
            for transport, clients in (
                    (WSTransport(), 1), (gone, 0), (odd, None), (FanoutTransport(WSTransport(), WSTransport(), gone), 2),
                    (leaving, 1), (FanoutTransport(), 0), (types.SimpleNamespace(), None)):
                gateway.session(transport=transport)
                self.assertEqual(self.row().get("clients"), clients)

    def test_when_it_was_last_active_is_told_where_it_is_known(self):
        for gateway in self.each_release():
            for told, expected in ((1764.5, 1764.5), (None, None), ("yesterday", None), (True, None)):
                gateway.session(last_active=told)
                self.assertEqual(self.row().get("last_active"), expected)

    def test_attached_is_told_first(self):
        for gateway in self.each_release():
            session = gateway.session(transport=WSTransport())
            self.assertEqual(self.row()["holds"], [])
            session.update(queued_prompt={"text": "x"}, running=True)
            self.assert_kept(gateway, session, 409, "attached")

    def test_stdio(self):
        for gateway in self.each_release():
            # since 0.17 it parks elsewhere; what stdio means there isn't known
            self.check(gateway, gateway.server._stdio_transport, None if gateway.since("0.17") else "detached")

    def test_stdio_is_a_live_client_outside_the_web_server(self):
        for release in ("0.13", "0.16"):
            gateway = Gateway(release)
            del sys.modules["hermes_cli.web_server"]
            self.check(gateway, gateway.server._stdio_transport, None)

    def test_stdio_is_a_live_client_in_a_standalone_tui(self):
        gateway = Gateway("0.16")
        main = sys.modules["__main__"]
        saved = getattr(main, "__spec__", None)
        try:
            main.__spec__ = types.SimpleNamespace(name="tui_gateway.entry")
            self.check(gateway, gateway.server._stdio_transport, None)
        finally:
            main.__spec__ = saved


class TurnTest(Case):
    def check(self, gateway, session, expected, status, reason):
        row = self.row()
        self.assertEqual(row.get("turn"), expected)
        self.assert_kept(gateway, session, status, reason)

    def test_running(self):
        for gateway in self.each_release():
            self.check(gateway, gateway.session(running=True), "running", 409, "mid-turn")

    def test_waiting_on_a_prompt(self):
        for gateway in self.each_release():
            gateway.pending["r"] = ("s1", threading.Event())
            self.check(gateway, gateway.session(running=True), "waiting", 409, "waiting")
            gateway.pending["r"] = ("another", threading.Event())
            self.assertEqual(self.row()["turn"], "running")

    def test_waiting_on_an_approval(self):
        for gateway in self.each_release():
            session = gateway.session(running=True)
            gateway.approval._gateway_queues["k1"] = [object()]
            self.assertIn("approval", self.row()["holds"])
            self.check(gateway, session, "waiting", 409, "waiting")

    def test_an_approval_by_the_agents_newer_key(self):
        gateway = Gateway("0.19")
        session = gateway.session()
        session["agent"].session_id = "k1-compressed"
        gateway.approval._gateway_queues["k1-compressed"] = [object()]
        self.check(gateway, session, "waiting", 409, "waiting")

    def test_starting(self):
        for gateway in self.each_release():
            session = gateway.session(agent=None, agent_ready=threading.Event())
            self.check(gateway, session, "starting", 409, "starting")

    def test_a_resumed_session_that_reads_its_history(self):
        gateway = Gateway("0.22")
        session = gateway.session(resume_history_ready=threading.Event())
        self.check(gateway, session, "starting", 409, "starting")
        session["resume_history_ready"].set()
        self.assertEqual(self.row()["turn"], "idle")

    def test_lazy_watch_session(self):
        gateway = Gateway("0.19")
        session = gateway.session(agent=None, agent_ready=threading.Event(), lazy=True, slash_worker=None)
        self.assertEqual(self.row()["turn"], "idle")
        session["agent_build_started"] = True
        self.check(gateway, session, "starting", 409, "starting")

    def test_unknown(self):
        for gateway in self.each_release():
            session = gateway.session()
            del session["running"]
            self.check(gateway, session, None, 503, "unknown-state")
            session["running"] = False
            for name in {"_pending", "_session_pending_kind"} & set(vars(gateway.server)):
                delattr(gateway.server, name)
            self.check(gateway, session, None, 503, "unknown-state")


class HoldTest(Case):
    def held(self, gateway, session, hold):
        self.assertIn(hold, self.row()["holds"])
        if hold.startswith("unknown-"):
            content = self.assert_kept(gateway, session, 503, "unknown-state")
        else:
            content = self.assert_kept(gateway, session, 409, "held")
        if "isn't understood" not in content.get("detail", ""):  # a capability is missing, and that is said first
            self.assertIn(hold, content["holds"])

    def test_background_process(self):
        for gateway in self.each_release():
            session = gateway.session()
            process = types.SimpleNamespace(session_key="k1", task_id="", exited=False)
            gateway.processes.process_registry._running["p"] = process
            self.held(gateway, session, "background-process")
            process.session_key, process.task_id = "", "k1"  # what agent.close() goes by
            self.held(gateway, session, "background-process")
            process.exited = True
            self.assertEqual(self.row()["holds"], [])
            process.exited, process.task_id = False, "other"
            self.assertEqual(self.row()["holds"], [])

    def test_processes_that_ended_unseen_are_noticed(self):
        for gateway in self.each_release():
            gateway.session()
            registry, process = gateway.processes.process_registry, types.SimpleNamespace(session_key="k1", task_id="", exited=False)
            registry._running["p"] = process
            registry.has_active_for_session = lambda key: setattr(process, "exited", True)
            self.assertEqual(self.row()["holds"], [])

    def test_running_child_of_the_agent(self):
        for gateway in self.each_release():
            session = gateway.session()
            session["agent"]._active_children.append(object())
            self.held(gateway, session, "delegation")

    def delegation(self, **fields):
        record = {"status": "running", "origin_ui_session_id": "", "session_key": "", "parent_session_id": None}
        record.update(fields)
        module = sys.modules["tools.async_delegation"] = types.ModuleType("tools.async_delegation")
        module._records = {"d": record}
        return record

    def test_background_delegation(self):
        for owner in ({"origin_ui_session_id": "s1"}, {"session_key": "k1"}, {"parent_session_id": "k1"}):
            for status in ("running", "stalling", "finalizing"):
                with self.subTest(**owner, status=status):
                    gateway = Gateway("0.21")
                    session = gateway.session()
                    record = self.delegation(**owner, status=status)
                    self.held(gateway, session, "delegation")
                    record["status"] = "completed"
                    self.assertEqual(self.row()["holds"], [])

    def test_a_delegation_that_is_known_by_its_key_alone(self):
        """As on 0.17 and 0.18: it holds its session, and no other."""
        gateway = Gateway("0.17")
        session = gateway.session()
        record = self.delegation(session_key="k1")
        del record["origin_ui_session_id"], record["parent_session_id"]
        self.held(gateway, session, "delegation")
        gateway.session("s2", "k2")
        self.assertEqual(self.row("s2")["holds"], [])

    def test_the_gateways_own_word_on_delegations(self):
        for release in ("0.21", "0.22"):
            gateway = Gateway(release)
            session = gateway.session()
            gateway.server._session_has_active_delegations = lambda sid, record: sid == "s1" and record is session
            self.assertEqual(self.row()["holds"], [], "never loaded, it has none, and asking would load it")
            self.delegation(session_key="other")
            self.held(gateway, session, "delegation")
            gateway.server._session_has_active_delegations = lambda sid, record: 1 / 0
            self.held(gateway, session, "unknown-delegation")

    def test_an_active_schedule(self):
        for kind in ("loop", "heartbeat"):
            for release in ("0.21", "0.22"):
                gateway = Gateway(release)
                session = gateway.session()
                gateway.server._db.meta[kind + ":k1"] = json.dumps({"status": "active"})
                self.held(gateway, session, "wakeup-schedule")
                for status in ("paused", "done", "cleared"):
                    gateway.server._db.meta[kind + ":k1"] = json.dumps({"status": status})
                    self.assertEqual(self.row()["holds"], [])
                gateway.server._db.meta = {kind + ":k2": json.dumps({"status": "active"})}
                self.assertEqual(self.row()["holds"], [])
                gateway.server._db.meta[kind + ":k1"] = "no json"
                self.held(gateway, session, "unknown-wakeup-schedule")

    def test_the_gateways_own_word_on_schedules(self):
        gateway = Gateway("0.22")
        session = gateway.session()
        gateway.server._session_owns_live_wakeup_schedule = lambda record: record is session
        self.held(gateway, session, "wakeup-schedule")
        gateway.server._session_owns_live_wakeup_schedule = lambda record: 1 / 0
        self.held(gateway, session, "unknown-wakeup-schedule")

    def test_a_delegation_of_another_session(self):
        gateway = Gateway("0.19")
        gateway.session()
        self.delegation(origin_ui_session_id="s2", session_key="k2", parent_session_id="k2")
        self.assertEqual(self.row()["holds"], [])

    def test_window_that_watches_a_running_subagent(self):
        for release, runs in (("0.19", ["k1"]), ("0.22", [(None, "k1")]), ("0.22", [("/of/another/profile", "k1")])):
            gateway = Gateway(release)
            session = gateway.session(agent=None, agent_ready=threading.Event(), lazy=True, slash_worker=None)
            gateway.child_runs.update(dict.fromkeys(runs, 1.0))
            self.held(gateway, session, "delegation")
            gateway.child_runs.clear()
            gateway.child_runs[(None, "k2") if release == "0.22" else "k2"] = 1.0
            self.assertEqual(self.row()["holds"], [])
            self.assertEqual(self.reap()[0], 200)

    def test_result_on_its_way_to_a_turn(self):
        for event in ({"session_key": "k1"}, {"origin_ui_session_id": "s1"}):
            gateway = Gateway("0.19")
            session = gateway.session(_notif_stop=threading.Event())
            gateway.processes.process_registry.completion_queue.put(event)
            self.held(gateway, session, "undelivered-result")
            session["_notif_stop"].set()  # nobody delivers it any more
            self.assertEqual(self.row()["holds"], [])

    def test_slash_command_in_flight(self):
        for gateway in self.each_release():
            session = gateway.session()
            with session["slash_worker"]._lock:
                self.held(gateway, session, "slash-command")
            self.assertEqual(self.row()["holds"], [])

    def test_queued_prompt_compute_host_closing(self):
        for fields, hold in (({"queued_prompt": {"text": "x"}}, "queued-prompt"),
                             ({"queued_prompts": [{"text": "x"}]}, "queued-prompt"),
                             ({"_compute_host_active": True}, "compute-host"), ({"_finalized": True}, "closing")):
            gateway = Gateway("0.19")
            self.held(gateway, gateway.session(**fields), hold)

    def in_thread(self, gateway, target, *args):
        thread = threading.Thread(target=target, args=args)
        thread.start()
        self.assertTrue(gateway.server.entered.wait(5))
        self.addCleanup(thread.join)
        self.addCleanup(gateway.server.leave.set)
        return thread

    def test_a_request_that_has_the_record_in_hand(self):
        for gateway in self.each_release():
            session = gateway.session()
            thread = self.in_thread(gateway, gateway.server.handler, "s1")
            self.held(gateway, session, "in-use")
            gateway.session("s2", "k2")
            self.assertEqual(self.row("s2")["holds"], [])
            gateway.server.leave.set()
            thread.join()
            self.assertEqual(self.row()["holds"], [])

    def test_one_walk_over_the_threads_per_table(self):
        gateway, walks = Gateway("0.19"), []
        for number in range(20):
            gateway.session(f"s{number}", f"k{number}")
        walk = self.plugin._records_in_hand
        self.plugin._records_in_hand = lambda server: walks.append(1) or walk(server)
        self.plugin.table()
        self.assertEqual(len(walks), 1)

    def test_threads_are_looked_into_at_one_instant_and_the_collector_is_left_as_it_was(self):
        """Two threads take turns inside one lock: a look that lets them go on could see both in it."""
        turn, done = threading.Lock(), threading.Event()

        def inside():
            return [number for number in range(50)]

        def take_turns():
            while not done.is_set():
                with turn:
                    inside()

        threads = [threading.Thread(target=take_turns) for _ in range(2)]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        self.addCleanup(sys.setswitchinterval, interval)
        try:
            for thread in threads:
                thread.start()
            for collects in (True, False) * 500:
                gc.enable() if collects else gc.disable()
                stacks = self.plugin._stacks()
                self.assertEqual(gc.isenabled(), collects)
                me = sys._getframe()
                mine = next(stack for stack in stacks if me in stack)
                self.assertIs(mine[mine.index(me) + 1], me.f_back)
                names = [[frame.f_code.co_name for frame in stack] for stack in stacks]
                self.assertLessEqual(sum("inside" in stack for stack in names), 1)
        finally:
            gc.enable()
            done.set()
            for thread in threads:
                thread.join()

    def test_threads_that_cannot_be_looked_into(self):
        gateway = Gateway("0.19")
        session = gateway.session()
        look = sys._current_frames
        self.addCleanup(setattr, sys, "_current_frames", look)
        del sys._current_frames
        self.held(gateway, session, "unknown-in-use")

    def test_a_background_prompt(self):
        for gateway in self.each_release():
            session = gateway.session()
            vars(gateway.server)["record"] = session
            code = "def start(session):\n    def run():\n        session, entered.set(), leave.wait(5)\n    return run\n"
            exec(code, vars(gateway.server))
            thread = self.in_thread(gateway, gateway.server.start(session))
            self.held(gateway, session, "in-use")
            gateway.server.leave.set()
            thread.join()

    def test_the_sessions_own_poller_does_not_hold_it(self):
        gateway = Gateway("0.19")
        session = gateway.session()
        self.in_thread(gateway, gateway.server._notification_poller_loop, session)
        self.assertEqual(self.row()["holds"], [])

    def test_two_sessions_of_one_key(self):
        for gateway in self.each_release():
            session = gateway.session()
            twin = gateway.session("s2", "k1", transport=WSTransport())
            self.held(gateway, session, "shared-key")
            twin.update(transport=gateway.parked(), running=True)
            self.held(gateway, session, "shared-key")
            twin["running"] = False  # an orphan like the other
            self.assertEqual(self.row()["holds"], [])

    def test_missing_symbols_hold(self):
        cases = {
            "unknown-approval": lambda gateway, session: delattr(gateway.approval, "_gateway_queues"),
            "unknown-background-process": lambda gateway, session: delattr(gateway.processes.process_registry, "_running"),
            "unknown-undelivered-result": lambda gateway, session: (
                session.update(_notif_stop=threading.Event()),
                delattr(gateway.processes.process_registry, "completion_queue")),
            "unknown-delegation": lambda gateway, session: delattr(session["agent"], "_active_children"),
            "unknown-slash-command": lambda gateway, session: delattr(session["slash_worker"], "_lock"),
            "unknown-source": lambda gateway, session: delattr(gateway.processes.process_registry, "has_active_for_session"),
        }
        for hold, spoil in cases.items():
            with self.subTest(hold=hold):
                for gateway in self.each_release():
                    session = gateway.session()
                    spoil(gateway, session)
                    self.held(gateway, session, hold)

    def test_async_delegations_that_cannot_be_read(self):
        gateway = Gateway("0.19")
        session = gateway.session()
        sys.modules["tools.async_delegation"] = types.ModuleType("tools.async_delegation")
        self.held(gateway, session, "unknown-delegation")
        self.delegation().pop("session_key")  # it names nobody: it may be anybody's
        self.held(gateway, session, "unknown-delegation")

    def test_lazy_session_without_the_child_registry(self):
        gateway = Gateway("0.19")
        session = gateway.session(agent=None, lazy=True, agent_ready=threading.Event(), slash_worker=None)
        del gateway.server._child_run_active
        self.held(gateway, session, "unknown-delegation")

    def test_modules_that_were_never_loaded_hold_nothing(self):
        for gateway in self.each_release():
            del sys.modules["tools.approval"], sys.modules["tools.process_registry"]
            gateway.session()
            self.assertEqual(self.row()["holds"], [])

    def test_whose_row_it_is(self):
        for source, ours in (("", True), ("tui", True), ("cli", True), ("desktop", True), ("webui", True), ("TUI", True),
                             ("tool", True), (None, True), ("telegram", False), ("discord", False), ("api_server", False),
                             ("subagent", False), ("something-new", False)):
            with self.subTest(source=source):
                for gateway in self.each_release():
                    session = gateway.session()
                    gateway.server._db = Db(k1=source)
                    if ours:
                        self.assertEqual(self.row()["holds"], [])
                    else:
                        self.held(gateway, session, "not-ours")

    def test_the_row_of_the_agents_newer_key_counts_too(self):
        gateway = Gateway("0.19")
        session = gateway.session()
        session["agent"].session_id = "k1-compressed"
        gateway.server._db = Db(**{"k1": "tui", "k1-compressed": "telegram"})
        self.held(gateway, session, "not-ours")

    def test_the_source_the_session_was_created_with(self):
        gateway = Gateway("0.19")
        self.held(gateway, gateway.session(source="telegram"), "not-ours")

    def test_a_watched_subagent(self):
        gateway = Gateway("0.19")
        gateway.session(agent=None, lazy=True, agent_ready=threading.Event(), slash_worker=None)
        gateway.server._db = Db(k1="subagent")
        self.assertEqual(self.row()["holds"], [])

    def test_a_session_of_another_profile(self):
        gateway = Gateway("0.19")
        session = gateway.session(profile_home="/somewhere")
        gateway.server._db = Db(k1="tui")
        self.held(gateway, session, "unknown-source")  # its own database is not at hand
        session["agent"]._session_db = Db(k1="telegram")
        self.held(gateway, session, "not-ours")
        session["agent"]._session_db = Db(k1="tui")
        self.assertEqual(self.row()["holds"], [])

    def test_handoff(self):
        for state, hold in (("pending", ["handoff"]), ("running", ["handoff"]), ("failed", []), (None, [])):
            gateway = Gateway("0.19")
            gateway.session()
            gateway.server._db = Db(k1="tui")
            gateway.server._db.rows["k1"]["handoff_state"] = state
            self.assertEqual(self.row()["holds"], hold)

    def test_database_not_opened_failed_broken_missing(self):
        for gateway in self.each_release():
            session = gateway.session()
            gateway.server._db = None
            self.assertEqual(self.row()["holds"], [])
            gateway.server._db_error = "disk I/O error"
            self.held(gateway, session, "unknown-source")
            gateway.server._db = types.SimpleNamespace(get_session=lambda key: 1 / 0)
            self.held(gateway, session, "unknown-source")
            del gateway.server._db
            self.held(gateway, session, "unknown-source")


class ReapTest(Case):
    def test_reaped(self):
        for gateway in self.each_release():
            session = gateway.session()
            agent, worker = session["agent"], session["slash_worker"]
            self.assertEqual(self.reap(), (200, {"outcome": "reaped"}))
            self.assertNotIn("s1", gateway.server._sessions)
            self.assertTrue(gateway.locks_free, "torn down under a lock")
            self.assertEqual(agent.closed, 1)
            self.assertGreaterEqual(worker.closed, 1)
            self.assertIs(session["running"], True, "no tombstone for a prompt that has the record")
            self.assertEqual(self.reap(), (404, {"outcome": "gone"}))

    def test_what_is_torn_down_is_the_record_as_it_was(self):
        for release in RELEASES[1:]:
            gateway = Gateway(release)
            session = gateway.session(active_session_lease=object(), queued_prompt=None)
            before = dict(session)
            self.reap()
            self.assertEqual({key: gateway.torn[key] for key in before}, before)
            self.assertEqual(gateway.teardown_reasons, ["ws_orphan_reap" if gateway.since("0.17") else "tui_close"])
            self.assertNotIn("_finalized", gateway.torn)

    def test_to_its_gateway_it_was_idle_when_it_was_taken_out(self):
        for release in ("0.19", "0.21", "0.22"):
            gateway = Gateway(release)
            gateway.session()
            self.assertEqual(self.reap()[0], 200)
            self.assertEqual(gateway.active_when_popped, [False])

    def test_0_13_in_the_order_of_its_session_close(self):
        gateway = Gateway("0.13")
        gateway.session()
        self.reap()
        self.assertEqual(gateway.log, [("finalize", "k1"), ("unregister", "k1")])

    def test_0_13_leaves_the_notifier_to_a_twin(self):
        gateway = Gateway("0.13")
        gateway.session()
        gateway.session("s2", "k1")
        self.assertEqual(self.reap()[0], 200)
        self.assertEqual(gateway.log, [("finalize", "k1")])

    def test_gone(self):
        sys.modules["hermes_cli.web_server"] = types.ModuleType("hermes_cli.web_server")
        self.assertEqual(self.reap("s1"), (404, {"outcome": "gone"}))
        for gateway in self.each_release():
            gateway.session()
            self.assertEqual(self.reap("nope"), (404, {"outcome": "gone"}))
            self.assertIn("s1", gateway.server._sessions)

    def test_another_run_of_the_gateway(self):
        for gateway in self.each_release():
            session = gateway.session()
            for instance in ("other", "", None, 7):
                status, content = self.plugin.reap("s1", instance)
                self.assertEqual((status, content), (412, {"outcome": "kept", "reason": "instance"}))
            self.assertIs(gateway.server._sessions["s1"], session)

    def test_activity_since_the_caller_looked(self):
        for gateway in self.each_release():
            session = gateway.session()
            seen = self.row()["activity"]
            session["history_version"] = 1
            self.assertEqual(self.plugin.reap("s1", self.plugin.INSTANCE, seen), (409, {"outcome": "kept", "reason": "activity"}))
            self.assertIs(gateway.server._sessions["s1"], session)
            self.assertIs(session["running"], False)
            self.assertEqual(self.plugin.reap("s1", self.plugin.INSTANCE, self.row()["activity"])[0], 200)

    def test_the_gateways_own_verdict_counts(self):
        for release in RELEASES[1:]:
            gateway = Gateway(release)
            session = gateway.session()
            gateway.server._ws_session_is_orphaned = lambda session: False
            self.assert_kept(gateway, session, 503, "unknown-state")
            gateway.server._ws_session_is_orphaned = lambda session: 1 / 0
            self.assert_kept(gateway, session, 503, "unknown-state")
            # on a socket that died before the session was bound to it the gateway has no verdict
            session["transport"] = WSTransport(closed=True, client="DISCONNECTED")
            self.assertEqual(self.reap()[0], 200)

    def test_a_lock_that_is_not_free_in_time(self):
        for gateway in self.each_release():
            session = gateway.session()
            for lock in gateway.locks(session):
                holder_has, release = threading.Event(), threading.Event()

                def hold():
                    with lock:
                        holder_has.set()
                        release.wait(5)

                thread = threading.Thread(target=hold)
                thread.start()
                holder_has.wait(5)
                self.assert_kept(gateway, session, 503, "lock-timeout")
                release.set()
                thread.join()
                for other in gateway.locks(session):  # and those it got it gave back
                    self.assertTrue(other.acquire(timeout=1))
                    other.release()
            self.assertEqual(self.reap()[0], 200)

    def test_locks_in_the_gateways_order(self):
        for gateway in self.each_release():
            taken = []

            class Spy:
                def __init__(self, name, lock):
                    self.name, self.lock = name, lock

                def acquire(self, timeout=-1):
                    taken.append((self.name, timeout))
                    return self.lock.acquire(timeout=timeout)

                def release(self):
                    self.lock.release()

                def __enter__(self):
                    self.lock.acquire()

                def __exit__(self, *exc):
                    self.lock.release()

            session = gateway.session()
            session["history_lock"] = Spy("history", session["history_lock"])
            if gateway.release != "0.13":
                gateway.server._session_resume_lock = Spy("resume", gateway.server._session_resume_lock)
                gateway.server._sessions_lock = Spy("registry", gateway.server._sessions_lock)
            gateway.check_free = lambda record: None
            self.assertEqual(self.reap()[0], 200)
            timeout = self.plugin.LOCK_TIMEOUT_S
            expected = ["history"] if gateway.release == "0.13" else ["resume", "history", "registry"]
            self.assertEqual(taken, [(name, timeout) for name in expected])

    def test_missing_symbols(self):
        for release, names in (("0.13", ["_finalize_session"]), ("0.16", ["_session_resume_lock", "_sessions_lock", "_teardown_session"]),
                               ("0.22", ["_session_resume_lock", "_sessions_lock", "_pop_session_by_id"])):
            for name in names:
                with self.subTest(release=release, name=name):
                    gateway = Gateway(release)
                    session = gateway.session()
                    delattr(gateway.server, name)
                    self.assert_kept(gateway, session, 503, "unknown-state")
        for gateway in self.each_release():
            session = gateway.session()
            lock = session.pop("history_lock")
            self.assert_kept(gateway, session, 503, "unknown-state")
            session["history_lock"] = lock
            self.assertEqual(self.reap()[0], 200)

    def test_a_failing_teardown_still_closes_the_worker(self):
        for gateway in self.each_release():
            session = gateway.session()
            worker = session["slash_worker"]

            def fail(record, **kw):
                raise RuntimeError("hook")

            gateway.server._finalize_session = gateway.server._teardown_session = fail
            if gateway.release == "0.13":
                del gateway.server._teardown_session
            if gateway.since("0.19"):
                gateway.server._teardown_popped_session = fail
            with self.assertRaises(RuntimeError):
                self.reap()
            self.assertEqual(worker.closed, 1)

    def test_a_session_without_worker_or_agent(self):
        gateway = Gateway("0.13")
        gateway.session(agent=None, slash_worker=None)
        self.assertEqual(self.reap()[0], 200)


class RaceTest(Case):
    """A client that comes back in the very moment of the claim."""

    def test_record_replaced_under_the_same_id(self):
        for gateway in self.each_release():
            gateway.session()
            claim = self.plugin._claim

            def replaced(*args):
                self.new = gateway.session()
                return claim(*args)

            self.plugin._claim = replaced
            self.assertEqual(self.reap(), (404, {"outcome": "gone"}))
            self.assertIs(gateway.server._sessions["s1"], self.new)
            self.assertIs(self.new["running"], False)
            self.plugin._claim = claim

    def test_moved_to_another_row_after_the_lookup(self):
        gateway = Gateway("0.19")
        session = gateway.session()
        claim = self.plugin._claim

        def moved(*args):
            session["agent"].session_id = "k2"
            return claim(*args)

        self.plugin._claim = moved
        self.assert_kept(gateway, session, 503, "unknown-state")

    def test_bound_to_a_client_while_it_was_looked_at(self):
        for gateway in self.each_release():
            session = gateway.session()
            transport, row, self.seen = self.plugin.Session.transport, self.plugin._row, False

            def look(seen):
                if self.seen and seen.record is session:  # its row was read under the locks: now the client comes
                    session["transport"] = WSTransport()
                return transport(seen)

            def read(*args):
                content = row(*args)
                self.seen = True
                return content

            self.plugin.Session.transport, self.plugin._row = look, read
            self.assert_kept(gateway, session, 409, "attached")
            self.plugin.Session.transport, self.plugin._row = transport, row

    def test_a_pop_that_fails_leaves_the_session_as_it_was(self):
        gateway = Gateway("0.22")
        session = gateway.session()
        gateway.server._pop_session_by_id = lambda sid: 1 / 0
        self.assert_kept(gateway, session, 503, "unknown-state")

        def fails_halfway(sid):
            del gateway.server._sessions[sid]
            raise OSError("no such profile")

        gateway.server._pop_session_by_id = fails_halfway
        self.assert_kept(gateway, session, 503, "unknown-state")
        gateway.server._pop_session_by_id = lambda sid: None
        self.assertEqual(self.reap(), (404, {"outcome": "gone"}))  # somebody else was first: theirs to tear down
        self.assertIs(session["running"], False)
        self.assertEqual((gateway.log, session["slash_worker"].closed), ([], 0))

    def straggler(self, gateway, function, *args):
        """Runs a request that has looked the session up but not been seen by the plugin, across a reap."""
        self.plugin._records_in_hand = lambda server: set()  # its blind spot: the instant before a local is bound
        looked_up, go_on, answer = threading.Event(), threading.Event(), []

        def run():
            try:
                answer.append(function("s1", *args, looked_up, go_on))
            except Exception as error:
                answer.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        looked_up.wait(5)
        self.assertEqual(self.reap()[0], 200)
        go_on.set()
        thread.join()
        return answer[0]

    def test_a_prompt_that_has_the_closed_record_is_refused(self):
        for gateway in self.each_release():
            for steers in (False, True):
                gateway.server.steers = steers
                gateway.session()
                answer = self.straggler(gateway, gateway.server.prompt_submit, "hi", WSTransport())
                if gateway.since("0.19"):  # it would queue or steer: it must raise, which is an error to the client
                    self.assertIsInstance(answer, AttributeError)
                else:
                    self.assertEqual(answer, "busy")

    def test_activate_does_not_answer_with_the_closed_record(self):
        for release in RELEASES[1:]:
            gateway = Gateway(release)
            gateway.session()
            self.assertIsInstance(self.straggler(gateway, gateway.server.session_activate), TypeError)

    def test_prompts_against_reaps(self):
        """Either the prompt runs and the session stays, or it is refused: never both, never neither."""
        outcomes = collections.Counter()
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        self.addCleanup(sys.setswitchinterval, interval)
        for gateway in self.each_release():
            server = gateway.server
            for _ in range(150):
                session, start, got = gateway.session(), threading.Barrier(2), {}
                done = threading.Event()
                done.set()

                def prompt():
                    start.wait()
                    try:
                        got["prompt"] = server.prompt_submit("s1", "hi", WSTransport(), threading.Event(), done)
                    except Exception as error:
                        got["prompt"] = error

                thread = threading.Thread(target=prompt)
                thread.start()
                start.wait()
                status = self.reap()[0]
                thread.join()
                outcomes[gateway.release, status, str(got["prompt"])[:12]] += 1
                if got["prompt"] == "streaming":
                    self.assertEqual(status, 409)
                    self.assertIs(server._sessions["s1"], session)
                else:
                    self.assertNotIn(got["prompt"], ("queued", "steered"))
                    self.assertEqual(status, 200, got)
                server._sessions.clear()
        self.assertGreater(len(outcomes), 3, outcomes)


class RoutesTest(Case):
    def test_routes(self):
        routes = self.routes
        self.assertEqual(set(routes), {("GET", "/sessions"), ("POST", "/sessions/{sid}/reap")})
        for function in routes.values():
            self.assertFalse(inspect.iscoroutinefunction(function), "an async handler freezes the server")
        gateway = Gateway("0.19")
        gateway.session()
        status, content = routes["GET", "/sessions"]()
        self.assertEqual((status, len(content["sessions"])), (200, 1))
        reap = routes["POST", "/sessions/{sid}/reap"]
        self.assertEqual(reap("s1", {"reason": "orphaned"})[0], 412)
        self.assertEqual(reap("s1", {"instance": content["gateway"]["instance"], "reason": "orphaned"}),
                         (200, {"outcome": "reaped"}))

    def test_imports_nothing_of_the_gateway(self):
        tree = ast.parse(PLUGIN.read_text(encoding="utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        self.assertEqual(names - {"fastapi", "fastapi.responses"} - set(sys.stdlib_module_names), set())

    def test_manifest(self):
        manifest = json.loads((PLUGIN.parent / "manifest.json").read_text(encoding="utf-8"))
        self.assertEqual((manifest["name"], manifest["version"]), ("gateway-reaper", self.plugin.PLUGIN_VERSION))
        for name in ("api", "entry"):
            self.assertTrue((PLUGIN.parent / manifest[name]).is_file())


if __name__ == "__main__":
    unittest.main()
