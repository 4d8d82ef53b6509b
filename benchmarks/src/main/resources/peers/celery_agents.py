"""What a Celery worker knows: a task that does nothing and says so."""

import os

from celery import Celery

app = Celery("celery_agents", broker=os.environ["REDIS"], backend=os.environ["REDIS"])
app.conf.update(
    # As our agents: a task that was begun when its worker died is done again.
    task_acks_late=True,
    worker_prefetch_multiplier=100,
    broker_transport_options={"priority_steps": [0, 1, 2, 3, 4], "queue_order_strategy": "priority"},
)


@app.task
def do(text):
    return {"ok": True}
