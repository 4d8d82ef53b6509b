"""Runs an agent that claims its assignments over HTTP."""

from __future__ import annotations

import logging
import signal
import threading
import time
import uuid
from collections import OrderedDict
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

from .client import Client, CoordinatorError, Unavailable

log = logging.getLogger("agent_coordinator")

_CLAIM_SECONDS = 20
# Coordinators refuse claims of more, and longer lists of received assignments.
_MAX_CLAIM = 1_000
# Maximum time for handlers to end after they are cancelled at shutdown.
_STOP_SECONDS = 2.0
_SHUTTING_DOWN = "the agent is shutting down"
_DRAIN_POLL_SECONDS = 1.0
_PAUSE_SECONDS = 1.0
_MAX_PAUSE_SECONDS = 30.0
_REMEMBERED = 10_000


class PermanentFailure(Exception):
    """Raised by a handler if the task fails however often it is tried, for example for invalid input."""


class RetryLater(Exception):
    """Raised by a handler if the next attempt should wait, for example for a rate limit.

    :param seconds: how long, up to a day
    :param limit: one in the assignment's ``uses``, of which no task gets units until then, as after a provider's 429
    """

    def __init__(self, message: str, seconds: int, limit: Optional[str] = None) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.limit = limit


class Reject(Exception):
    """Raised by a handler that does not execute a task that another agent could. Costs no attempt."""


class Assignment:
    """A task for this agent to execute."""

    def __init__(self, worker: "Worker", message: Mapping[str, Any]) -> None:
        self._worker = worker
        self.message = dict(message)
        self.assignment_id: str = message["assignment_id"]
        self.task_id: str = message["task_id"]
        self.attempt: int = message["attempt"]
        self.task_data: Dict[str, Any] = message["task_data"]
        self.traceparent: Optional[str] = message.get("traceparent")
        """Context for spans of the handler, in the format of W3C Trace Context; None if the task is not traced."""
        self.deadline: datetime = _time(message["deadline"])
        """Deadline as of the assignment, by the coordinators' clock. Progress extends the attempt, not this field."""
        self.cancelled = threading.Event()
        """Set once the task was cancelled, or given to another agent, or the agent stops. Its result is ignored then."""
        self.usage: Dict[str, int] = {}
        """Units of limits in ``uses`` that the attempt has really used, set by the handler: their budgets are corrected by it."""
        self._arrived_late = worker._stopping.is_set()
        self._reported = False
        self._ended = threading.Event()

    def is_cancelled(self) -> bool:
        return self.cancelled.is_set()

    def progress(self, payload: Any) -> None:
        """Reports progress, which extends the deadline. Of several reports in a second, the newest counts."""
        self._worker._report(self, {"status": "progress", "result": payload}, retries=False)


Handler = Callable[[Assignment], Any]


class Worker:
    """An agent: executes assignments with handlers, at most ``capacity`` at once.

    >>> worker = Worker("http://localhost:9001", "python-1", capabilities=["greet"])
    >>> @worker.handler()
    ... def greet(assignment):
    ...     return {"said": "hello " + assignment.task_data["name"]}
    >>> worker.run()

    It registers, claims assignments, confirms and deduplicates them, reports results until they are accepted, and drains on SIGTERM and
    SIGINT: it takes no new assignments, finishes those it has, rejects what is not finished in time, and deregisters.

    :param urls: base addresses of coordinators; they are interchangeable
    :param agent_id: unique among all agents
    :param capacity: how many assignments it executes at once, each in its own thread
    :param drain_seconds: how long it finishes assignments before it cancels their handlers, and rejects them up to 2 s later
    :param api_key: as of :class:`Client`: a key with role agent, for this agent
    :param registration: further fields of the registration, such as ``services``, ``tags``, ``region`` or ``resources``
    """

    def __init__(
        self,
        urls: Union[str, Sequence[str]],
        agent_id: str,
        *,
        capabilities: Sequence[str] = (),
        capacity: int = 1,
        agent_type: str = "worker",
        drain_seconds: float = 30.0,
        api_key: Optional[str] = None,
        **registration: Any,
    ) -> None:
        self.client = Client(urls, api_key=api_key)
        self.agent_id = agent_id
        self._capacity = capacity
        self._drain_seconds = drain_seconds
        self._registration: Dict[str, Any] = {
            **registration,
            "agent_id": agent_id,
            "agent_type": agent_type,
            "capabilities": list(capabilities),
            "capacity": capacity,
            "delivery": "pull",
        }
        self._instance_id = uuid.uuid4().hex
        self._handlers: Dict[Optional[str], Handler] = {}
        self._held: Dict[str, Assignment] = {}
        self._seen: "OrderedDict[str, None]" = OrderedDict()
        self._lock = threading.Lock()
        self._clock_ahead = timedelta()
        self._slots = threading.Semaphore(capacity)
        self._stopping = threading.Event()
        self._stopped = threading.Event()

    def handler(self, task_type: Optional[str] = None) -> Callable[[Handler], Handler]:
        """Registers a function for tasks with this ``task_data.task_type``; without one, for all others.

        What it returns, as JSON, is the result of the task. An exception fails the attempt, which is retried with backoff, see
        :class:`PermanentFailure`, :class:`RetryLater` and :class:`Reject`.
        """

        def register(function: Handler) -> Handler:
            self._handlers[task_type] = function
            return function

        return register

    def run(self) -> None:
        """Runs until SIGTERM, SIGINT or :meth:`stop`. Outside the main thread, only :meth:`stop` ends it.

        A handler that ignores its cancellation may still run when this returns, until the process exits.
        """
        if not self._handlers:
            raise ValueError("no handler is registered")
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self._stopping.set())
        threading.Thread(target=self._claim_until_stopped, name="claims", daemon=True).start()
        # In intervals: on some platforms, a signal does not interrupt a wait without limit.
        while not self._stopping.wait(0.5):
            pass
        self._drain()

    def stop(self) -> None:
        """Begins to drain; :meth:`run` returns once that is done."""
        self._stopping.set()

    # Claims

    def _claim_until_stopped(self) -> None:
        pause = _PAUSE_SECONDS
        registered = started = False
        while not self._stopped.is_set():
            try:
                if not registered:
                    self.client.call("POST", "/agents/register", self._registration)
                    registered = True
                if not started and not self._stopping.is_set():
                    # A drain of an earlier process is over.
                    self.client.call("PUT", f"/agents/{self.agent_id}/status", {"status": "active"})
                    started = True
                self._claim()
                pause = _PAUSE_SECONDS
                if self._stopping.is_set():
                    # Claims that stay open would request assignments.
                    self._stopped.wait(_DRAIN_POLL_SECONDS)
            except CoordinatorError as e:
                if e.status == 404 and not self._stopping.is_set():
                    # It was deregistered, or the registry has lost its data.
                    registered = False
                log.log(
                    logging.INFO if e.status == 404 else logging.WARNING, "No assignments claimed, will retry: %s", e
                )
                self._stopped.wait(pause)
                pause = min(2 * pause, _MAX_PAUSE_SECONDS)
            except Exception:
                log.exception("Unexpected error while claiming assignments, will retry")
                self._stopped.wait(pause)
                pause = min(2 * pause, _MAX_PAUSE_SECONDS)

    def _claim(self) -> None:
        with self._lock:
            # The newest: those before were confirmed by an earlier claim.
            received = list(self._held)[-_MAX_CLAIM:]
        # The coordinators assign no more than the capacity. A claim while the worker is full receives cancellations.
        wait_seconds = 0 if self._stopping.is_set() else _CLAIM_SECONDS
        answer = self.client.call(
            "POST",
            f"/agents/{self.agent_id}/assignments/claim",
            {
                "max": min(self._capacity, _MAX_CLAIM),
                "wait_seconds": wait_seconds,
                "instance_id": self._instance_id,
                "received": received,
            },
            wait=wait_seconds,
        )
        if "timestamp" in answer:
            self._clock_ahead = datetime.now(timezone.utc) - _time(answer["timestamp"])
        for assignment_id in answer["cancelled"]:
            with self._lock:
                held = self._held.get(assignment_id)
            if held is not None:
                held.cancelled.set()
        for message in answer["assignments"]:
            assignment = Assignment(self, message)
            if self._is_new(assignment):
                # A daemon: a handler that never returns must not keep the process from stopping.
                threading.Thread(
                    target=self._execute, args=(assignment,), name=f"handler-{assignment.task_id}", daemon=True
                ).start()

    def _is_new(self, assignment: Assignment) -> bool:
        """Assignments are delivered at least once. After a new submission of its task, an id may return with another time."""
        grant = f"{assignment.assignment_id} {assignment.message.get('assigned_at')}"
        with self._lock:
            if self._stopped.is_set():
                return False
            if grant in self._seen:
                held = self._held.pop(assignment.assignment_id, None)
                if held is not None:
                    # Now the newest, so that the next claim confirms it.
                    self._held[assignment.assignment_id] = held
                return False
            self._seen[grant] = None
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
            self._held[assignment.assignment_id] = assignment
            return True

    # Execution

    def _execute(self, assignment: Assignment) -> None:
        try:
            if assignment._arrived_late:
                self._report(assignment, {"status": "rejected", "error": _SHUTTING_DOWN})
                return
            # An attempt that was lost at its deadline may still run here when the next assignment arrives.
            with self._slots:
                # It may have been cancelled while it waited.
                if not assignment.is_cancelled():
                    self._execute_now(assignment)
        finally:
            with self._lock:
                if self._held.get(assignment.assignment_id) is assignment:
                    del self._held[assignment.assignment_id]
            assignment._ended.set()

    def _execute_now(self, assignment: Assignment) -> None:
        started = datetime.now(timezone.utc)
        # By the coordinators' clock, because this machine's may be wrong.
        if started - self._clock_ahead >= assignment.deadline:
            outcome: Dict[str, Any] = {"status": "failed", "error": "the assignment was started after its deadline"}
        else:
            outcome = self._outcome(assignment)
        if assignment.usage:
            outcome["usage"] = dict(assignment.usage)
        outcome.setdefault("started_at", _text(started))
        outcome.setdefault("finished_at", _text(datetime.now(timezone.utc)))
        if not assignment.is_cancelled():
            self._report(assignment, outcome)
            assignment._reported = True

    def _outcome(self, assignment: Assignment) -> Dict[str, Any]:
        task_type = assignment.task_data.get("task_type")
        function = self._handlers.get(task_type if isinstance(task_type, str) else None) or self._handlers.get(None)
        if function is None:
            return {"status": "rejected", "error": f"no handler for task_type {task_type}"}
        try:
            return {"status": "completed", "result": function(assignment)}
        except PermanentFailure as e:
            return {"status": "failed", "error": _reason(e), "retryable": False}
        except RetryLater as e:
            later = {"status": "failed", "error": _reason(e), "retry_after_seconds": e.seconds}
            return later if e.limit is None else {**later, "limit": e.limit}
        except Reject as e:
            return {"status": "rejected", "error": _reason(e)}
        except BaseException as e:
            log.warning("Attempt %s failed", assignment.assignment_id, exc_info=True)
            return {"status": "failed", "error": _reason(e)}

    def _report(self, assignment: Assignment, outcome: Mapping[str, Any], retries: bool = True) -> None:
        report: Dict[str, Any] = {
            "assignment_id": assignment.assignment_id,
            "attempt": assignment.attempt,
            "agent_id": self.agent_id,
            **outcome,
        }
        refusal = self._send(assignment, report, retries)
        if refusal is not None and report["status"] != "progress":
            # Coordinators refuse a result that is too large, for example. Without a report, the attempt would last until its deadline.
            report.pop("result", None)
            report["status"] = "rejected" if report["status"] == "rejected" else "failed"
            report["error"] = refusal
            refusal = self._send(assignment, report, retries)
        if refusal is not None:
            log.warning("Report of %s refused: %s", assignment.assignment_id, refusal)

    def _send(self, assignment: Assignment, report: Mapping[str, Any], retries: bool) -> Optional[str]:
        """Sends a report until it is accepted or has no effect, and returns None; or returns why it is refused."""
        pause = _PAUSE_SECONDS
        headers = {"traceparent": assignment.traceparent} if assignment.traceparent else {}
        while True:
            try:
                self.client.call("POST", f"/tasks/{assignment.task_id}/results", report, headers=headers)
                return None
            except Unavailable as e:
                if not retries or self._stopped.is_set():
                    log.warning("Report of %s not sent: %s", assignment.assignment_id, e)
                    return None
                log.info("Report of %s not sent, will retry: %s", assignment.assignment_id, e)
            except CoordinatorError as e:
                if e.status not in (404, 409):
                    return str(e)
                # The task has ended, or another agent has it.
                assignment.cancelled.set()
                log.info("Report of %s has no effect: %s", assignment.assignment_id, e)
                return None
            except (TypeError, ValueError) as e:
                return f"the result cannot be written as JSON: {e}"
            time.sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE_SECONDS)

    # Drain

    def _drain(self) -> None:
        until = time.monotonic() + self._drain_seconds
        try:
            # It ends the open claim: nothing more is assigned to this process.
            self._claim()
        except CoordinatorError as e:
            log.warning("The open claim was not ended: %s", e)
        while self._held_now() and time.monotonic() < until:
            time.sleep(0.05)
        # From now on, a report that no coordinator accepts is not retried: the process must end.
        self._stopped.set()
        unfinished = [assignment for assignment in self._held_now() if not assignment.is_cancelled()]
        # Wait for handlers to end: a rejected task may start on another agent at once.
        for assignment in unfinished:
            assignment.cancelled.set()
        until = time.monotonic() + _STOP_SECONDS
        for assignment in unfinished:
            assignment._ended.wait(max(0.0, until - time.monotonic()))
        for assignment in unfinished:
            if not assignment._reported:
                self._report(assignment, {"status": "rejected", "error": _SHUTTING_DOWN})
        try:
            self.client.call("DELETE", f"/agents/{self.agent_id}?instance_id={self._instance_id}")
        except CoordinatorError as e:
            # 409: another process has the same id, and stays.
            log.log(logging.INFO if e.status in (404, 409) else logging.WARNING, "Not deregistered: %s", e)

    def _held_now(self) -> List[Assignment]:
        with self._lock:
            return list(self._held.values())


def _reason(error: BaseException) -> str:
    """With the class, unless it is one of those that only carry a reason: the text of a KeyError is the key alone."""
    if isinstance(error, (PermanentFailure, RetryLater, Reject)) and str(error):
        return str(error)[:10_000]
    return (f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)[:10_000]


def _time(text: str) -> datetime:
    """Coordinators write up to nine digits of a second, of which Python reads six."""
    text = text.rstrip("Z")
    if "." in text:
        whole, fraction = text.split(".")
        text = f"{whole}.{fraction[:6].ljust(6, '0')}"
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
