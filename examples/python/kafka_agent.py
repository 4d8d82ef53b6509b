#!/usr/bin/env python3
"""A complete agent over Kafka, with confluent-kafka: pip install confluent-kafka, or apt install python3-confluent-kafka.

    KAFKA=localhost:9092 AGENT_ID=python-kafka-1 ./kafka_agent.py

KAFKA_CONFIG names a file with further settings of librdkafka, such as for TLS and SASL, as `kcat -F` takes one.

It works on up to CAPACITY assignments at once, each on a thread. Replace `handle`.
"""

import collections
import json
import os
import signal
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

KAFKA = os.environ.get("KAFKA", "localhost:9092")
AGENT_ID = os.environ.get("AGENT_ID", "python-kafka-1")
API_KEY = os.environ.get("AITBC_API_KEY")  # required while the coordinators' security is on
TOPIC_PREFIX = os.environ.get("AITBC_TOPICS_PREFIX", "")
CAPACITY = int(os.environ.get("CAPACITY", "5"))
HEARTBEAT_SECONDS = 10
DRAIN_SECONDS = float(os.environ.get("DRAIN_SECONDS", "30"))
REMEMBERED = 10_000


def kafka_config():
    """Settings of all clients."""
    settings = {"bootstrap.servers": KAFKA}
    if "KAFKA_CONFIG" in os.environ:
        with open(os.environ["KAFKA_CONFIG"], encoding="utf-8") as file:
            lines = [line.strip() for line in file]
        settings.update(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return settings


def handle(assignment, cancelled, progress):
    """Does the work, and returns the result, any JSON. Check `cancelled.is_set()` in long work; `progress(...)` extends the deadline."""
    data = assignment["task_data"]
    until = time.monotonic() + float(data.get("seconds", 0))
    while time.monotonic() < until and not cancelled.wait(0.1):
        pass
    if data.get("fail"):
        raise ValueError(data["fail"])
    return {"said": "hello from Python", "echo": data}


class Rejected(Exception):
    """Raise it to hand the task to another agent. It costs no attempt."""


class Permanent(Exception):
    """Raise it if a retry cannot help. The task is dead-lettered at once."""


class Agent:
    def __init__(self):
        self.instance_id = str(uuid.uuid4())
        self.producer = Producer({**kafka_config(), "enable.idempotence": True, "linger.ms": 1})
        self.consumer = Consumer({
            **kafka_config(),
            "group.id": TOPIC_PREFIX + "agent." + AGENT_ID,
            # A second process with this id fences the first.
            "group.instance.id": AGENT_ID,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            # The topic is created at the first heartbeat.
            "topic.metadata.refresh.interval.ms": 2000,
            "allow.auto.create.topics": False,
        })
        self.threads = ThreadPoolExecutor(CAPACITY)
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.gone = threading.Event()
        self.running = {}  # assignment_id -> event that is set when it is cancelled
        self.open = {}  # offset -> whether it is reported
        self.committed = None
        self.seen = collections.OrderedDict()  # grants, so that a redelivered assignment is not run again
        self.cancelled = collections.OrderedDict()  # assignment_id -> when, in case its assignment arrives later

    def heartbeat(self, status=None):
        # Without a status it is unchanged: an operator's drain lasts.
        self.producer.produce(TOPIC_PREFIX + "agents.heartbeat", key=AGENT_ID, value=json.dumps({
            "agent_id": AGENT_ID,
            "instance_id": self.instance_id,
            "status": status,
            # Optional: "load_metrics": {"cpu_usage": 0.3, "memory_usage": 0.5}. An agent that is overloaded is assigned nothing.
            "registration": {"agent_id": AGENT_ID, "agent_type": "worker", "capabilities": ["python"], "capacity": CAPACITY},
        }), headers={"api-key": API_KEY} if API_KEY else None)
        self.producer.poll(0)

    def heartbeats(self):
        status = "active"  # a drain of an earlier process is over
        while not self.gone.is_set():
            self.heartbeat("maintenance" if self.stopping.is_set() else status)
            status = None
            # Reports its draining at once.
            (self.gone if self.stopping.is_set() else self.stopping).wait(HEARTBEAT_SECONDS)

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: self.stopping.set())
        signal.signal(signal.SIGINT, lambda *_: self.stopping.set())
        beating = threading.Thread(target=self.heartbeats, daemon=True)
        beating.start()
        self.consumer.subscribe([TOPIC_PREFIX + "assignments." + AGENT_ID])
        drained_by = None
        try:
            while True:
                if self.stopping.is_set() and drained_by is None:
                    drained_by = time.monotonic() + DRAIN_SECONDS
                if drained_by is not None and (not self.unreported() or time.monotonic() > drained_by):
                    break
                self.round()
            # What is not finished goes to another agent, without using an attempt.
            for offset, assignment in self.unreported():
                self.report(assignment, offset, "rejected", error="the agent is shutting down")
            self.producer.flush(10)
            self.commit()
        finally:
            self.gone.set()
            beating.join()
            self.consumer.close()
            self.heartbeat("inactive")
            self.producer.flush(10)
            # Threads that still run are not waited for.
            os._exit(0)

    def round(self):
        for message in self.consumer.consume(100, timeout=0.2):
            if message.error():
                if message.error().code() == KafkaError._FATAL or message.error().fatal():
                    raise KafkaException(message.error())
                continue  # such as a topic that does not exist yet
            self.take(message)
        self.producer.poll(0)
        self.commit()

    def take(self, message):
        offset = message.offset()
        with self.lock:
            self.open[offset] = None
        try:
            task = json.loads(message.value())
            assignment_id = task["assignment_id"]
        except (ValueError, TypeError, KeyError) as e:
            log(f"Skipped a record that is not an assignment: {e}")
            return self.reported(offset)
        if "type" in task:  # a cancellation, or a message from a later version
            if task["type"] == "cancellation":
                remember(self.cancelled, assignment_id, task.get("cancelled_at"))
                with self.lock:
                    if assignment_id in self.running:
                        self.running[assignment_id].set()
            return self.reported(offset)
        grant = (assignment_id, task.get("assigned_at"))
        if grant in self.seen or self.is_cancelled(task):
            return self.reported(offset)
        remember(self.seen, grant)
        with self.lock:
            self.open[offset] = task
            self.running[assignment_id] = cancelled = threading.Event()
        self.threads.submit(self.work, task, offset, cancelled)

    def is_cancelled(self, task):
        """An assignment made after the cancellation belongs to a new task with the same id."""
        if task["assignment_id"] not in self.cancelled:
            return False
        cancelled_at = self.cancelled[task["assignment_id"]]
        return cancelled_at is None or time_key(task.get("assigned_at", "")) <= time_key(cancelled_at)

    def work(self, task, offset, cancelled):
        started_at = now()
        try:
            if cancelled.is_set():
                return self.reported(offset)
            log(f"Started {task['task_id']}")
            result = handle(task, cancelled, lambda soFar: self.send(task, {"status": "progress", "result": soFar}))
            outcome = {"status": "completed", "result": result}
        except Rejected as e:
            outcome = {"status": "rejected", "error": str(e)}
        except Permanent as e:
            outcome = {"status": "failed", "error": str(e), "retryable": False}
        except Exception as e:
            outcome = {"status": "failed", "error": str(e) or type(e).__name__}
        finally:
            with self.lock:
                if self.running.get(task["assignment_id"]) is cancelled:  # not that of a new task with the same id
                    del self.running[task["assignment_id"]]
        if cancelled.is_set():
            return self.reported(offset)
        self.report(task, offset, started_at=started_at, finished_at=now(), **outcome)

    def report(self, task, offset, status, **fields):
        """Sends a result until Kafka has it: only then may its offset be committed."""
        with self.lock:
            if self.open.get(offset) is not task:
                return  # reported before
        def delivered(error, _):
            if error is None:
                self.reported(offset)
            elif error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                self.send(task, {"status": "failed", "error": "the result is too large"}, delivered)
            else:
                log(f"Result not sent, retrying: {error}")
                self.send(task, {"status": status, **fields}, delivered)
        self.send(task, {"status": status, **fields}, delivered)

    def send(self, task, fields, delivered=None):
        value = {"assignment_id": task["assignment_id"], "task_id": task["task_id"], "attempt": task["attempt"],
                 "agent_id": AGENT_ID, "signature": task.get("signature"), **fields}
        self.producer.produce(TOPIC_PREFIX + "tasks.results", key=task["task_id"], value=json.dumps(value), on_delivery=delivered)

    def reported(self, offset):
        with self.lock:
            self.open[offset] = True

    def unreported(self):
        with self.lock:
            return [(offset, task) for offset, task in self.open.items() if isinstance(task, dict)]

    def commit(self):
        """Commits up to the first assignment without a report."""
        with self.lock:
            done = None
            for offset in sorted(self.open):
                if self.open[offset] is not True:
                    break
                done = offset
                del self.open[offset]
        if done is not None and self.consumer.assignment():
            partition = self.consumer.assignment()[0]
            partition.offset = done + 1
            self.consumer.commit(offsets=[partition], asynchronous=False)


def remember(known, key, value=True):
    known[key] = value
    while len(known) > REMEMBERED:
        known.popitem(last=False)


def log(line):
    """Writes a whole line: print() writes the newline separately, so lines of several threads would mix."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def time_key(text):
    """Sorts by time: coordinators write up to nine digits of a second."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return whole, fraction.ljust(9, "0")


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + ".%03dZ" % (time.time() % 1 * 1000)


if __name__ == "__main__":
    Agent().run()
