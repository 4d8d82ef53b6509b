"""Submits tasks to Celery, and waits until each has its result in Redis."""

import sys
import time

import redis
from celery_agents import app, do

count = int(sys.argv[1])
text = "x" * 200
results = redis.Redis.from_url(app.conf.broker_url)


def done():
    return sum(1 for _ in results.scan_iter("celery-task-meta-*", 10_000))


before = done()
start = time.time()
with app.producer_pool.acquire() as producer:
    for i in range(count):
        do.apply_async((text,), priority=i % 5, producer=producer)
# Counting costs time too, so it is begun when most should be there, and done rarely.
while done() - before < count:
    time.sleep(0.2)
print(count / (time.time() - start))
