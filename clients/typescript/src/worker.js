import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, CoordinatorError, Unavailable } from './client.js';

const CLAIM_SECONDS = 20;
// Coordinators refuse claims of more, and longer lists of received assignments.
const MAX_CLAIM = 1_000;
// Maximum time for handlers to end after they are cancelled at shutdown.
const STOP_MS = 2_000;
const SHUTTING_DOWN = 'the agent is shutting down';
const DRAIN_POLL_MS = 1_000;
const PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;
const REMEMBERED = 10_000;

/** Thrown by a handler if the task fails however often it is tried. */
export class PermanentFailure extends Error {}

/** Thrown by a handler if the next attempt should wait. */
export class RetryLater extends Error {
  constructor(message, seconds, limit) {
    super(message);
    this.seconds = seconds;
    this.limit = limit;
  }
}

/** Thrown by a handler that does not execute a task that another agent could. */
export class Reject extends Error {}

export class Worker {
  #agentId;
  #capacity;
  #drainMs;
  #log;
  #registration;
  #handlers = new Map();
  #instanceId = randomUUID();
  #held = new Map();
  #seen = new Set();
  #running = 0;
  #waiting = [];
  #clockAheadMs = 0;
  #stopping = new AbortController();
  #stopped = new AbortController();

  constructor(urls, agentId, options = {}) {
    const { capacity = 1, drainMs = 30_000, log = console, apiKey, ...registration } = options;
    this.client = new Client(urls, { apiKey });
    this.#agentId = agentId;
    this.#capacity = capacity;
    this.#drainMs = drainMs;
    this.#log = log;
    this.#registration = {
      agent_type: 'worker',
      ...registration,
      agent_id: agentId,
      capacity,
      delivery: 'pull',
    };
  }

  handle(taskTypeOrHandler, handler) {
    if (handler === undefined) {
      this.#handlers.set(undefined, taskTypeOrHandler);
    } else {
      this.#handlers.set(taskTypeOrHandler, handler);
    }
    return this;
  }

  async run({ signals = true } = {}) {
    if (this.#handlers.size === 0) {
      throw new TypeError('no handler is registered');
    }
    const stop = () => this.stop();
    if (signals) {
      process.on('SIGTERM', stop).on('SIGINT', stop);
    }
    try {
      const claiming = this.#claimUntilStopped();
      if (!this.#stopping.signal.aborted) {
        await new Promise((resolve) => this.#stopping.signal.addEventListener('abort', resolve, { once: true }));
      }
      await this.#drain();
      await claiming;
    } finally {
      process.removeListener('SIGTERM', stop).removeListener('SIGINT', stop);
    }
  }

  stop() {
    this.#stopping.abort();
  }

  // Claims

  async #claimUntilStopped() {
    let registered = false;
    let started = false;
    let pause = PAUSE_MS;
    while (!this.#stopped.signal.aborted) {
      try {
        if (!registered) {
          await this.client.call('POST', '/agents/register', this.#registration);
          registered = true;
        }
        if (!started && !this.#stopping.signal.aborted) {
          // A drain of an earlier process is over.
          await this.client.call('PUT', this.#path('status'), { status: 'active' });
          started = true;
        }
        await this.#claim();
        pause = PAUSE_MS;
        if (this.#stopping.signal.aborted) {
          // Claims that stay open would request assignments.
          await sleep(DRAIN_POLL_MS, undefined, { signal: this.#stopped.signal });
        }
      } catch (e) {
        if (this.#stopped.signal.aborted) {
          return;
        }
        if (e.status === 404 && !this.#stopping.signal.aborted) {
          // It was deregistered, or the registry has lost its data.
          registered = false;
        }
        this.#log.warn(`No assignments claimed, will retry: ${e.message}`);
        await sleep(pause, undefined, { signal: this.#stopped.signal }).catch(() => {});
        pause = Math.min(2 * pause, MAX_PAUSE_MS);
      }
    }
  }

  async #claim() {
    const waitSeconds = this.#stopping.signal.aborted ? 0 : CLAIM_SECONDS;
    const claim = {
      // The coordinators assign no more than the capacity. A claim while the worker is full receives cancellations.
      max: Math.min(this.#capacity, MAX_CLAIM),
      wait_seconds: waitSeconds,
      instance_id: this.#instanceId,
      // The newest: those before were confirmed by an earlier claim.
      received: [...this.#held.keys()].slice(-MAX_CLAIM),
    };
    const answer = await this.client.call('POST', this.#path('assignments/claim'), claim, waitSeconds * 1000, this.#stopped.signal);
    if (answer.timestamp !== undefined) {
      this.#clockAheadMs = Date.now() - Date.parse(answer.timestamp);
    }
    for (const id of answer.cancelled) {
      this.#held.get(id)?.controller.abort();
    }
    for (const message of answer.assignments) {
      if (this.#isNew(message)) {
        this.#execute(message);
      }
    }
  }

  /** Assignments are delivered at least once. After a new submission of its task, an id may return with another time. */
  #isNew(message) {
    const grant = `${message.assignment_id} ${message.assigned_at}`;
    if (this.#stopped.signal.aborted) {
      return false;
    }
    if (this.#seen.has(grant)) {
      const held = this.#held.get(message.assignment_id);
      if (held !== undefined) {
        // Now the newest, so that the next claim confirms it.
        this.#held.delete(message.assignment_id);
        this.#held.set(message.assignment_id, held);
      }
      return false;
    }
    this.#seen.add(grant);
    if (this.#seen.size > REMEMBERED) {
      this.#seen.delete(this.#seen.values().next().value);
    }
    return true;
  }

  // Execution

  async #execute(message) {
    const controller = new AbortController();
    const held = { message, controller, usage: {}, reported: false, ended: false };
    this.#held.set(message.assignment_id, held);
    if (this.#stopping.signal.aborted) {
      await this.#report(held, { status: 'rejected', error: SHUTTING_DOWN });
      this.#held.delete(message.assignment_id);
      return;
    }
    // An attempt that was lost at its deadline may still run here when the next assignment arrives.
    if (this.#running >= this.#capacity) {
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
    this.#running++;
    try {
      // It may have been cancelled while it waited.
      if (!controller.signal.aborted) {
        await this.#executeNow(held);
      }
    } finally {
      held.ended = true;
      if (this.#held.get(message.assignment_id) === held) {
        this.#held.delete(message.assignment_id);
      }
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  async #executeNow(held) {
    const started = new Date();
    // By the coordinators' clock, because this machine's may be wrong.
    const outcome =
      started - this.#clockAheadMs >= Date.parse(held.message.deadline)
        ? { status: 'failed', error: 'the assignment was started after its deadline' }
        : await this.#outcome(held);
    if (!held.controller.signal.aborted) {
      const usage = Object.keys(held.usage).length > 0 ? { usage: held.usage } : {};
      await this.#report(held, { started_at: started, finished_at: new Date(), ...outcome, ...usage });
      held.reported = true;
    }
  }

  async #outcome(held) {
    const { message } = held;
    const taskType = message.task_data.task_type;
    const handler = this.#handlers.get(taskType) ?? this.#handlers.get(undefined);
    if (handler === undefined) {
      return { status: 'rejected', error: `no handler for task_type ${taskType}` };
    }
    const context = {
      signal: held.controller.signal,
      progress: (payload) => this.#report(held, { status: 'progress', result: payload }),
      usage: held.usage,
    };
    try {
      return { status: 'completed', result: (await handler(message, context)) ?? null };
    } catch (e) {
      // The text of a TypeError, for example, does not say that it is one.
      const prefix = e instanceof Error && e.name !== 'Error' ? `${e.name}: ` : '';
      const error = (prefix + (e?.message || String(e))).slice(0, 10_000);
      if (e instanceof PermanentFailure) {
        return { status: 'failed', error, retryable: false };
      }
      if (e instanceof RetryLater) {
        return { status: 'failed', error, retry_after_seconds: e.seconds, limit: e.limit };
      }
      if (e instanceof Reject) {
        return { status: 'rejected', error };
      }
      this.#log.warn(`Attempt ${message.assignment_id} failed:`, e);
      return { status: 'failed', error };
    }
  }

  async #report({ message, controller }, outcome) {
    const report = {
      assignment_id: message.assignment_id,
      attempt: message.attempt,
      agent_id: this.#agentId,
      ...outcome,
    };
    let refusal = await this.#send(message, controller, report);
    if (refusal !== undefined && report.status !== 'progress') {
      // Coordinators refuse a result that is too large, for example. Without a report, the attempt would last until its deadline.
      delete report.result;
      report.status = report.status === 'rejected' ? 'rejected' : 'failed';
      report.error = refusal;
      refusal = await this.#send(message, controller, report);
    }
    if (refusal !== undefined) {
      this.#log.warn(`Report of ${message.assignment_id} refused: ${refusal}`);
    }
  }

  /** Sends a report until it is accepted or has no effect, or returns why it is refused. */
  async #send(message, controller, report) {
    const headers = message.traceparent ? { traceparent: message.traceparent } : {};
    for (let pause = PAUSE_MS; ; pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
      try {
        await this.client.call('POST', `/tasks/${message.task_id}/results`, report, 0, undefined, headers);
        return undefined;
      } catch (e) {
        if (e instanceof Unavailable) {
          if (report.status === 'progress' || this.#stopped.signal.aborted) {
            this.#log.warn(`Report of ${message.assignment_id} not sent: ${e.message}`);
            return undefined;
          }
        } else if (!(e instanceof CoordinatorError)) {
          return `the result cannot be written as JSON: ${e.message}`;
        } else if (e.status === 404 || e.status === 409) {
          // The task has ended, or another agent has it.
          controller.abort();
          return undefined;
        } else {
          return e.message;
        }
      }
      await sleep(pause);
    }
  }

  // Drain

  async #drain() {
    let until = Date.now() + this.#drainMs;
    try {
      // It ends the open claim: nothing more is assigned to this process.
      await this.#claim();
    } catch (e) {
      this.#log.warn(`The open claim was not ended: ${e.message}`);
    }
    while (this.#held.size > 0 && Date.now() < until) {
      await sleep(50);
    }
    // From now on, a report that no coordinator accepts is not retried: the process must end.
    this.#stopped.abort();
    const unfinished = [...this.#held.values()].filter((held) => !held.controller.signal.aborted);
    // Wait for handlers to end: a rejected task may start on another agent at once.
    unfinished.forEach((held) => held.controller.abort());
    until = Date.now() + STOP_MS;
    while (unfinished.some((held) => !held.ended) && Date.now() < until) {
      await sleep(50);
    }
    for (const held of unfinished.filter((one) => !one.reported)) {
      await this.#report(held, { status: 'rejected', error: SHUTTING_DOWN });
    }
    try {
      await this.client.call('DELETE', `/agents/${encodeURIComponent(this.#agentId)}?instance_id=${this.#instanceId}`);
    } catch (e) {
      // 409: another process has the same id, and stays.
      if (e.status !== 404 && e.status !== 409) {
        this.#log.warn(`Not deregistered: ${e.message}`);
      }
    }
  }

  #path(rest) {
    return `/agents/${encodeURIComponent(this.#agentId)}/${rest}`;
  }
}
