"""Calls the REST interface of the coordinators."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Union

Json = Dict[str, Any]


class CoordinatorError(Exception):
    """A coordinator refused a request. ``status`` is the HTTP status, ``str()`` the reason in one sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Unavailable(CoordinatorError):
    """No coordinator answers, or Kafka or Redis is unavailable. The request may be repeated."""


class Client:
    """Submits tasks, and follows them.

    >>> client = Client("http://localhost:9001")
    >>> task_id = client.submit({"name": "Ada"}, requirements={"capabilities": ["greet"]})
    >>> client.wait(task_id)["result"]

    :param urls: base addresses of coordinators. They are interchangeable: if one does not answer, the next is tried.
    :param timeout: seconds until a coordinator counts as unavailable, in addition to the time a request may wait
    :param api_key: API key or token, needed while security is on; by default, the environment variable ``AITBC_API_KEY``
    """

    def __init__(
        self, urls: Union[str, Sequence[str]], timeout: float = 10.0, *, api_key: Optional[str] = None
    ) -> None:
        self._urls: List[str] = [urls.rstrip("/")] if isinstance(urls, str) else [url.rstrip("/") for url in urls]
        if not self._urls:
            raise ValueError("at least one address is required")
        self._timeout = timeout
        self._api_key = api_key or os.environ.get("AITBC_API_KEY")
        self._current = 0
        self._lock = threading.Lock()

    def submit(
        self,
        task_data: Mapping[str, Any],
        *,
        task_id: Optional[str] = None,
        priority: str = "normal",
        requirements: Optional[Mapping[str, Any]] = None,
        **fields: Any,
    ) -> str:
        """Submits a task and returns its id. A repeated ``task_id`` is not run again.

        :param task_id: generated if there is none, so that the task runs once even if a second coordinator has to be tried
        :param fields: further fields of the task, such as ``timeout_seconds``, ``max_attempts``, ``not_before``, ``fairness_key`` or ``labels``
        :raises CoordinatorError: if the task is invalid
        :raises Unavailable: if it was not accepted; with a ``task_id``, it is safe to submit again
        """
        task = _task(task_data, task_id, priority, requirements, fields)
        return str(self.call("POST", "/tasks/submit", task)["task_id"])

    def submit_batch(self, tasks: Iterable[Mapping[str, Any]]) -> List[Json]:
        """Submits tasks given as JSON objects, and returns the outcome of each, in order. Ids are generated as by :meth:`submit`."""
        return list(self.call("POST", "/tasks/submit/batch", [_identified(task) for task in tasks])["results"])

    def get(self, task_id: str) -> Json:
        """The state of a task."""
        return self.call("GET", f"/tasks/{_quoted(task_id)}")

    def wait(self, task_id: str, timeout: float = 60.0) -> Json:
        """The state of a task once it has ended, or its current state after ``timeout`` seconds: check ``status``."""
        until = time.monotonic() + timeout
        while True:
            left = max(0.0, until - time.monotonic())
            seconds = min(30, int(left) + 1) if left > 0 else 0
            query = f"?wait={seconds}s" if seconds else ""
            state = self.call("GET", f"/tasks/{_quoted(task_id)}{query}", wait=seconds)
            if state["status"] not in ("queued", "assigned") or time.monotonic() >= until:
                return state

    def cancel(self, task_id: str) -> Json:
        """Cancels a task, whether it is waiting or assigned."""
        return self.call("POST", f"/tasks/{_quoted(task_id)}/cancel")

    def explain(self, task_id: str) -> Json:
        """Why a task is where it is: what it waits for, or how it ended."""
        return self.call("GET", f"/tasks/{_quoted(task_id)}/explain")

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        wait: float = 0.0,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Json:
        """Calls an endpoint at the first coordinator that answers.

        :param wait: seconds that the endpoint may take to answer
        """
        failure: Optional[Exception] = None
        for _ in range(len(self._urls)):
            with self._lock:
                current = self._current
            try:
                return self._call_one(self._urls[current], method, path, body, wait, headers or {})
            except (OSError, http.client.HTTPException) as e:
                failure = e
            except Unavailable as e:
                failure = e
            with self._lock:
                if self._current == current:
                    self._current = (current + 1) % len(self._urls)
        if isinstance(failure, Unavailable):
            raise failure
        raise Unavailable(503, f"no coordinator answers at {', '.join(self._urls)}: {failure}") from failure

    def _call_one(
        self, url: str, method: str, path: str, body: Any, wait: float, headers: Mapping[str, str]
    ) -> Json:
        data = None if body is None else json.dumps(body, allow_nan=False).encode()
        request = urllib.request.Request(url + path, data=data, headers=dict(headers), method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        if self._api_key:
            # Not sent to the target of a redirect, which may be another host.
            request.add_unredirected_header("Authorization", "Bearer " + self._api_key)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout + wait) as response:
                content = response.read()
        except urllib.error.HTTPError as e:
            with e:
                detail = _detail(e.read(), e.code)
            if e.code in (502, 503, 504):
                raise Unavailable(e.code, detail) from None
            raise CoordinatorError(e.code, detail) from None
        return dict(json.loads(content)) if content else {}


def _task(
    task_data: Mapping[str, Any],
    task_id: Optional[str],
    priority: str,
    requirements: Optional[Mapping[str, Any]],
    fields: Mapping[str, Any],
) -> Json:
    task: Json = {"task_data": dict(task_data), "priority": priority, **fields}
    if task_id is not None:
        task["task_id"] = task_id
    if requirements is not None:
        task["requirements"] = dict(requirements)
    return _identified(task)


def _identified(task: Mapping[str, Any]) -> Json:
    """With an id: a submission that timed out at one coordinator, and is repeated at the next, must not be another task."""
    data = task.get("task_data")
    has_id = task.get("task_id") is not None or isinstance(data, Mapping) and data.get("task_id") is not None
    return dict(task) if has_id else {**task, "task_id": str(uuid.uuid4())}


def _detail(content: bytes, code: int) -> str:
    try:
        return str(json.loads(content)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {code}"


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")
