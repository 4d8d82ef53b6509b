import { randomUUID } from 'node:crypto';

/** A coordinator refused a request. */
export class CoordinatorError extends Error {
  constructor(status, detail) {
    super(detail);
    this.name = new.target.name;
    this.status = status;
  }
}

/** No coordinator answers, or Kafka or Redis is unavailable. */
export class Unavailable extends CoordinatorError {}

export class Client {
  #urls;
  #timeoutMs;
  #credential;
  #current = 0;

  constructor(urls, { timeoutMs = 10_000, apiKey = process.env.AITBC_API_KEY } = {}) {
    this.#urls = [urls].flat().map((url) => url.replace(/\/+$/, ''));
    if (this.#urls.length === 0) {
      throw new TypeError('at least one address is required');
    }
    this.#timeoutMs = timeoutMs;
    this.#credential = apiKey ? { Authorization: `Bearer ${apiKey}` } : {};
  }

  async submit(taskData, fields = {}) {
    const { task_id } = await this.call('POST', '/tasks/submit', identified({ ...fields, task_data: taskData }));
    return task_id;
  }

  async submitBatch(tasks) {
    const { results } = await this.call('POST', '/tasks/submit/batch', tasks.map(identified));
    return results;
  }

  get(taskId) {
    return this.call('GET', `/tasks/${encodeURIComponent(taskId)}`);
  }

  async wait(taskId, timeoutMs = 60_000) {
    const until = Date.now() + timeoutMs;
    for (;;) {
      const left = Math.max(0, until - Date.now());
      const seconds = left > 0 ? Math.min(30, Math.ceil(left / 1000)) : 0;
      const query = seconds > 0 ? `?wait=${seconds}s` : '';
      const state = await this.call('GET', `/tasks/${encodeURIComponent(taskId)}${query}`, undefined, seconds * 1000);
      if (!['queued', 'assigned'].includes(state.status) || Date.now() >= until) {
        return state;
      }
    }
  }

  cancel(taskId) {
    return this.call('POST', `/tasks/${encodeURIComponent(taskId)}/cancel`);
  }

  explain(taskId) {
    return this.call('GET', `/tasks/${encodeURIComponent(taskId)}/explain`);
  }

  async call(method, path, body, waitMs = 0, signal = undefined, headers = {}) {
    let failure;
    for (let i = 0; i < this.#urls.length; i++) {
      const current = this.#current;
      try {
        return await this.#callOne(this.#urls[current], method, path, body, waitMs, signal, headers);
      } catch (e) {
        if (signal?.aborted || (e instanceof CoordinatorError && !(e instanceof Unavailable))) {
          throw e;
        }
        failure = e;
      }
      if (this.#current === current) {
        this.#current = (current + 1) % this.#urls.length;
      }
    }
    throw failure;
  }

  async #callOne(url, method, path, body, waitMs, signal, headers) {
    // Not inside the try: a body that is no JSON is the caller's error, and no coordinator can help.
    const json = body === undefined ? undefined : JSON.stringify(body);
    const timeout = AbortSignal.timeout(this.#timeoutMs + waitMs);
    let response;
    let content;
    try {
      response = await fetch(url + path, {
        method,
        body: json,
        headers: {
          ...headers,
          ...this.#credential,
          ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
      });
      content = await response.text();
    } catch (e) {
      throw new Unavailable(503, `no answer from ${url}: ${e.cause?.message ?? e.message}`);
    }
    if (response.ok) {
      return content === '' ? {} : JSON.parse(content);
    }
    const detail = detailOf(content) ?? `HTTP status ${response.status}`;
    throw [502, 503, 504].includes(response.status)
      ? new Unavailable(response.status, detail)
      : new CoordinatorError(response.status, detail);
  }
}

/** With an id: a submission that timed out at one coordinator, and is repeated at the next, must not be another task. */
function identified(task) {
  const hasId = (task.task_id ?? task.task_data?.task_id ?? null) !== null;
  return hasId ? task : { ...task, task_id: randomUUID() };
}

function detailOf(content) {
  try {
    return JSON.parse(content).detail;
  } catch {
    return undefined;
  }
}
