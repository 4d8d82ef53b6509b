"""Agents and clients of the Agent Coordinator, over HTTP. Needs only the standard library."""

from .client import Client, CoordinatorError, Unavailable
from .worker import Assignment, PermanentFailure, Reject, RetryLater, Worker

__all__ = [
    "Assignment",
    "Client",
    "CoordinatorError",
    "PermanentFailure",
    "Reject",
    "RetryLater",
    "Unavailable",
    "Worker",
]
