"""Runs against a coordinator: COORDINATOR_URL=http://localhost:9001 python3 -m unittest discover -s tests"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest
import uuid
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from agent_coordinator import (
    Client,
    CoordinatorError,
    PermanentFailure,
    Reject,
    RetryLater,
    Unavailable,
    Worker,
)

URL = os.environ["COORDINATOR_URL"]


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("the condition was not met in time")
        time.sleep(0.02)


class Agent:
    """A worker in a thread, alone with its capability."""

    def __init__(self, test, capacity=1, agent_id=None, **more):
        self.id = agent_id or "py-" + uuid.uuid4().hex[:12]
        self.worker = Worker(URL, self.id, capabilities=[self.id], capacity=capacity, **more)
        self.thread = threading.Thread(target=self.worker.run, daemon=True)
        self.client = Client(URL)
        test.addCleanup(self.stop)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.worker.stop()
        if self.thread.ident is not None:
            self.thread.join(30)
            assert not self.thread.is_alive()

    def submit(self, task_data, **fields):
        return self.client.submit(task_data, requirements={"capabilities": [self.id]}, **fields)


class Stub:
    """Stands in for a coordinator, and keeps what it is sent. ``answer`` returns a status and a body."""

    def __init__(self, test, answer):
        stub = self
        self.requests = []

        class Endpoint(BaseHTTPRequestHandler):
            def do_POST(self):
                content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = json.loads(content) if content else None
                stub.requests.append((self.path, self.headers, body))
                status, answered = answer(self.path, body)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(answered).encode())

            do_PUT = do_DELETE = do_POST

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        test.addCleanup(server.server_close)
        test.addCleanup(server.shutdown)

    def sent(self, path):
        return [(headers, body) for at, headers, body in self.requests if at == path]


class WorkerTest(unittest.TestCase):
    def test_handlers_are_chosen_by_task_type(self):
        agent = Agent(self, capacity=4)

        @agent.worker.handler("double")
        def double(assignment):
            return assignment.task_data["n"] * 2

        @agent.worker.handler()
        def rest(assignment):
            return {"task_id": assignment.task_id, "attempt": assignment.attempt}

        agent.start()
        doubled = agent.submit({"task_type": "double", "n": 21})
        other = agent.submit({"task_type": "unknown"})
        untyped = agent.submit({})
        self.assertEqual(agent.client.wait(doubled)["result"], 42)
        self.assertEqual(agent.client.wait(other)["result"], {"task_id": other, "attempt": 1})
        self.assertEqual(agent.client.wait(untyped)["result"], {"task_id": untyped, "attempt": 1})

    def test_a_failure_says_how_to_go_on(self):
        agent = Agent(self)
        calls = []

        @agent.worker.handler()
        def fail(assignment):
            calls.append(assignment.assignment_id)
            kind = assignment.task_data["kind"]
            if kind == "permanent":
                raise PermanentFailure("the prompt is empty")
            if kind == "later" and assignment.attempt == 1:
                raise RetryLater("rate limit", 1)
            if kind == "odd":
                return {1, 2}
            return "done"

        agent.start()
        permanent = agent.client.wait(agent.submit({"kind": "permanent"}))
        self.assertEqual((permanent["status"], permanent["attempt"]), ("failed", 1))
        self.assertIn("the prompt is empty", str(permanent["error"]))
        odd = agent.client.wait(agent.submit({"kind": "odd"}, max_attempts=1))
        self.assertIn("cannot be written as JSON", str(odd["error"]))
        begun = time.monotonic()
        later = agent.client.wait(agent.submit({"kind": "later"}))
        self.assertEqual((later["status"], later["result"], later["attempt"]), ("completed", "done", 2))
        self.assertGreaterEqual(time.monotonic() - begun, 1.0)
        self.assertEqual(len(calls), len(set(calls)))

    def test_a_rejected_task_keeps_its_attempts(self):
        agent = Agent(self)

        @agent.worker.handler()
        def picky(assignment):
            if assignment.attempt == 1:
                raise Reject("not today")
            return "accepted"

        agent.start()
        state = agent.client.wait(agent.submit({}, max_attempts=1))
        self.assertEqual((state["status"], state["result"]), ("completed", "accepted"))

    def test_never_more_than_the_capacity(self):
        agent = Agent(self, capacity=3)
        running, highest, lock = [0], [0], threading.Lock()

        @agent.worker.handler()
        def busy(assignment):
            with lock:
                running[0] += 1
                highest[0] = max(highest[0], running[0])
            time.sleep(0.1)
            with lock:
                running[0] -= 1

        agent.start()
        tasks = agent.client.submit_batch(
            {"task_data": {}, "requirements": {"capabilities": [agent.id]}} for _ in range(12)
        )
        for task in tasks:
            self.assertEqual(agent.client.wait(task["task_id"])["status"], "completed")
        self.assertEqual(highest[0], 3)

    def test_progress_and_cancellation(self):
        agent = Agent(self)
        heard = threading.Event()

        @agent.worker.handler()
        def long(assignment):
            assignment.progress({"percent": 40})
            if assignment.cancelled.wait(60):
                heard.set()

        agent.start()
        task = agent.submit({})
        until(lambda: agent.client.get(task).get("progress") == {"percent": 40})
        agent.client.cancel(task)
        self.assertTrue(heard.wait(60))
        self.assertEqual(agent.client.get(task)["status"], "cancelled")

    def test_what_is_not_finished_is_handed_back(self):
        agent = Agent(self, drain_seconds=0.2)
        started, ended = threading.Event(), threading.Event()

        @agent.worker.handler()
        def endless(assignment):
            started.set()
            assignment.cancelled.wait(60)
            time.sleep(0.2)
            ended.set()

        agent.start()
        task = agent.submit({})
        self.assertTrue(started.wait(60))
        agent.stop()
        self.assertTrue(ended.is_set())
        state = until(lambda: (lambda seen: seen if seen["status"] == "queued" else None)(agent.client.get(task)))
        self.assertEqual(state["attempt"], 2)
        self.assertIn("the agent is shutting down", str(state["error"]))
        with self.assertRaises(CoordinatorError) as refused:
            agent.client.call("POST", f"/agents/{agent.id}/heartbeat")
        self.assertEqual(refused.exception.status, 404)

    def test_a_process_that_stops_leaves_its_successor_in_service(self):
        # The capacity is that of the id: both processes share it.
        old = Agent(self, capacity=2)
        started, may_end = threading.Event(), threading.Event()

        @old.worker.handler()
        def held(assignment):
            started.set()
            may_end.wait(60)
            return "old"

        old.start()
        first = old.submit({})
        self.assertTrue(started.wait(60))
        successor = Agent(self, capacity=2, agent_id=old.id)

        @successor.worker.handler()
        def quick(assignment):
            return "new"

        old.worker.stop()
        successor.start()
        second = old.submit({})
        self.assertEqual(old.client.wait(second)["result"], "new")

        may_end.set()
        self.assertEqual(old.client.wait(first)["result"], "old")
        old.stop()

        third = old.submit({})
        self.assertEqual(old.client.wait(third)["result"], "new")
        agent = old.client.call("GET", f"/agents/{old.id}")["agent"]
        self.assertEqual(agent["status"], "active")

    def test_it_stops_although_no_coordinator_answers(self):
        agent = Agent(self, drain_seconds=0.2)
        started = threading.Event()

        @agent.worker.handler()
        def endless(assignment):
            started.set()
            assignment.cancelled.wait(60)

        agent.start()
        agent.submit({})
        self.assertTrue(started.wait(60))
        agent.worker.client = Client("http://127.0.0.1:1")
        agent.stop()

    def test_it_goes_by_the_coordinators_clock_and_keeps_to_the_trace(self):
        behind = datetime.now(timezone.utc) - timedelta(hours=1)
        traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        assignment = {
            "assignment_id": "one:1",
            "task_id": "one",
            "attempt": 1,
            "task_data": {},
            "assigned_at": behind.isoformat(),
            "deadline": (behind + timedelta(minutes=10)).isoformat().replace("+00:00", "Z"),
            "traceparent": traceparent,
        }

        def answer(path, body):
            if not path.endswith("/claim"):
                return 200, {}
            time.sleep(0.05)
            timestamp = behind.isoformat().replace("+00:00", "Z")
            return 200, {"assignments": [assignment], "cancelled": [], "timestamp": timestamp}

        stub = Stub(self, answer)
        worker = Worker(stub.url, "late", capacity=5_000)

        @worker.handler()
        def report(assignment):
            assignment.progress("soon")
            return "done"

        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        reports = until(lambda: (lambda sent: sent if len(sent) == 2 else None)(stub.sent("/tasks/one/results")))
        worker.stop()
        thread.join(30)
        self.assertEqual([body["status"] for _, body in reports], ["progress", "completed"])
        self.assertEqual([headers["traceparent"] for headers, _ in reports], [traceparent, traceparent])
        self.assertEqual(stub.sent("/agents/late/assignments/claim")[0][1]["max"], 1_000)

    def test_sigterm_drains(self):
        name = "py-" + uuid.uuid4().hex[:12]
        script = f"""
import sys, time
sys.path.insert(0, {os.path.dirname(os.path.dirname(os.path.abspath(__file__)))!r})
from agent_coordinator import Worker
worker = Worker({URL!r}, {name!r}, capabilities=[{name!r}])
@worker.handler()
def slow(assignment):
    print("started", flush=True)
    time.sleep(1)
    return "finished"
worker.run()
"""
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        client = Client(URL)
        task = client.submit({}, requirements={"capabilities": [name]})
        self.assertEqual(process.stdout.readline(), "started\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(client.wait(task)["result"], "finished")


class ClientTest(unittest.TestCase):
    def test_a_repeated_submission_runs_once(self):
        client = Client(URL)
        task = "py-" + uuid.uuid4().hex
        self.assertEqual(client.submit({}, task_id=task, requirements={"capabilities": ["nobody"]}), task)
        self.assertEqual(client.submit({}, task_id=task, requirements={"capabilities": ["nobody"]}), task)
        self.assertEqual(client.wait(task, timeout=0.2)["status"], "queued")
        self.assertIn("no agent", client.explain(task)["explanation"])
        self.assertEqual(client.cancel(task)["status"], "success")
        self.assertEqual(client.wait(task)["status"], "cancelled")

    def test_a_submission_has_the_same_id_at_the_next_coordinator(self):
        stub = Stub(self, lambda path, body: (503, {"detail": "Kafka is unavailable"}))
        requirements = {"capabilities": ["nobody"]}
        task = Client([stub.url, URL]).submit({}, requirements=requirements)
        self.assertEqual([body["task_id"] for _, body in stub.sent("/tasks/submit")], [task])
        named = "py-" + uuid.uuid4().hex
        tasks = [{"task_data": {}}, {"task_data": {"task_id": named}}]
        submitted = Client([stub.url, URL]).submit_batch({**one, "requirements": requirements} for one in tasks)
        ((_, sent),) = stub.sent("/tasks/submit/batch")
        self.assertEqual([one["task_id"] for one in submitted], [sent[0]["task_id"], named])
        for one in (task, *(one["task_id"] for one in submitted)):
            Client(URL).cancel(one)

    def test_errors_have_a_status_and_a_reason(self):
        with self.assertRaises(CoordinatorError) as refused:
            Client(URL).submit({}, priority="soon")
        self.assertEqual(refused.exception.status, 400)
        self.assertIn("priority", str(refused.exception))

    def test_the_next_coordinator_is_tried(self):
        client = Client(["http://127.0.0.1:1", URL])
        self.assertEqual(client.call("GET", "/health")["status"], "healthy")
        with self.assertRaises(Unavailable):
            Client("http://127.0.0.1:1").get("any")


if __name__ == "__main__":
    unittest.main()
