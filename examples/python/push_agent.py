#!/usr/bin/env python3
"""A complete agent that is called over HTTP (delivery push). Standard library only.

    COORDINATOR_URL=http://localhost:9001 AGENT_ID=python-push-1 PORT=8100 python3 push_agent.py

It accepts each assignment at once, works on up to CAPACITY of them on threads, and reports the results. Replace `handle`.
"""

import collections
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COORDINATOR_URL = os.environ.get("COORDINATOR_URL", "http://localhost:9001")
AGENT_ID = os.environ.get("AGENT_ID", "python-push-1")
API_KEY = os.environ.get("AITBC_API_KEY")  # required while the coordinators' security is on
PORT = int(os.environ.get("PORT", "8100"))
HOST = os.environ.get("HOST", "127.0.0.1")
CAPACITY = int(os.environ.get("CAPACITY", "5"))
DRAIN_SECONDS = float(os.environ.get("DRAIN_SECONDS", "30"))
REMEMBERED = 10_000


def handle(assignment, cancelled):
    """Does the work, and returns the result, any JSON. Check `cancelled.is_set()` in long work."""
    data = assignment["task_data"]
    until = time.monotonic() + float(data.get("seconds", 0))
    while time.monotonic() < until and not cancelled.wait(0.1):
        pass
    if data.get("fail"):
        raise ValueError(data["fail"])
    return {"said": "hello from Python", "echo": data}


lock = threading.Lock()
seen = collections.OrderedDict()  # grants, so that an assignment that is posted again is not run again
running = {}  # assignment_id -> (assignment, event that is set when it is cancelled)
stopping = threading.Event()


def call(method, path, body=None):
    headers = {"Content-Type": "application/json"}
    if API_KEY:
        headers["X-API-Key"] = API_KEY
    request = urllib.request.Request(
        COORDINATOR_URL + path, method=method, headers=headers,
        data=None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def until_accepted(method, path, body=None, attempts=None):
    """Repeats a request while the coordinator cannot be reached or answers with 5xx."""
    while attempts is None or attempts > 0:
        try:
            return call(method, path, body)
        except urllib.error.HTTPError as e:
            if e.code < 500 and e.code != 429:
                print(method, path, "refused:", e.code, e.read().decode(errors="replace"), flush=True)
                return None
        except OSError as e:
            print(method, path, "failed, will retry:", e, flush=True)
        attempts = None if attempts is None else attempts - 1
        time.sleep(1)


def report(assignment, fields, attempts=None):
    until_accepted("POST", "/tasks/" + assignment["task_id"] + "/results",
                   {"attempt": assignment["attempt"], "agent_id": AGENT_ID, **fields}, attempts)


def work(assignment, cancelled):
    started_at = now()
    try:
        outcome = {"status": "completed", "result": handle(assignment, cancelled)}
    except Exception as e:
        outcome = {"status": "failed", "error": str(e) or type(e).__name__}
    with lock:
        mine = running.pop(assignment["assignment_id"], None)
    if mine and not cancelled.is_set():
        report(assignment, {**outcome, "started_at": started_at, "finished_at": now()})


def accept(assignment):
    """Returns the status of the response."""
    grant = (assignment["assignment_id"], assignment.get("assigned_at"))
    with lock:
        if grant in seen:
            return 202  # it is running, or reported
        if stopping.is_set() or len(running) >= CAPACITY:
            return 503  # it goes to another agent, without using an attempt
        seen[grant] = True
        while len(seen) > REMEMBERED:
            seen.popitem(last=False)
        cancelled = threading.Event()
        running[assignment["assignment_id"]] = (assignment, cancelled)
    threading.Thread(target=work, args=(assignment, cancelled), daemon=True).start()
    return 202


class Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        status = 200
        if self.path == "/tasks/execute":
            status = accept(message)
        elif self.path == "/tasks/cancel":
            with lock:
                found = running.get(message["assignment_id"])
            if found:
                found[1].set()
        self.answer(status)

    def do_GET(self):  # /health
        self.answer(200)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + ".%03dZ" % (time.time() % 1 * 1000)


def main():
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    server = ThreadingHTTPServer((HOST, PORT), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    registered = until_accepted("POST", "/agents/register", {
        "agent_id": AGENT_ID, "agent_type": "worker", "capabilities": ["python"], "capacity": CAPACITY, "delivery": "push",
        "endpoints": {"http": "http://%s:%d" % (HOST, server.server_port)},
    })
    if registered is None:
        raise SystemExit(1)
    # Once: a drain of an earlier process is over. Later, an operator's drain lasts.
    until_accepted("PUT", "/agents/" + AGENT_ID + "/status", {"status": "active"})
    while not stopping.wait(0.5):
        pass
    # Drain: finish what is running, then reject the rest.
    until_accepted("PUT", "/agents/" + AGENT_ID + "/status", {"status": "maintenance"}, attempts=3)
    until = time.monotonic() + DRAIN_SECONDS
    while running and time.monotonic() < until:
        time.sleep(0.1)
    with lock:
        unfinished = list(running.values())
        running.clear()
    for assignment, cancelled in unfinished:
        cancelled.set()
        report(assignment, {"status": "rejected", "error": "the agent is shutting down"}, attempts=3)
    until_accepted("DELETE", "/agents/" + AGENT_ID, attempts=3)


if __name__ == "__main__":
    main()
