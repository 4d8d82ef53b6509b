"""Runs against a coordinator: COORDINATOR_URL=http://localhost:9001 python3 -m unittest discover -s tests"""

import os
import signal
import subprocess
import sys
import threading
import time
import unittest
import uuid

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

    def __init__(self, test, capacity=1, **more):
        self.id = "py-" + uuid.uuid4().hex[:12]
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
        started = threading.Event()

        @agent.worker.handler()
        def endless(assignment):
            started.set()
            assignment.cancelled.wait(60)

        agent.start()
        task = agent.submit({})
        self.assertTrue(started.wait(60))
        agent.stop()
        state = until(lambda: (lambda seen: seen if seen["status"] == "queued" else None)(agent.client.get(task)))
        self.assertEqual(state["attempt"], 2)
        self.assertIn("the agent stops", str(state["error"]))
        with self.assertRaises(CoordinatorError) as refused:
            agent.client.call("POST", f"/agents/{agent.id}/heartbeat")
        self.assertEqual(refused.exception.status, 404)

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
