/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export interface Requirements {
  agent_type?: string;
  capabilities?: string[];
  services?: string[];
  tags?: string[];
  min_health_score?: number;
  region?: string;
  chain_id?: string;
  agent_id?: string;
  affinity_key?: string;
  /** What an attempt takes of its agent's resources, with at most three decimals. */
  resources?: Record<string, number>;
}

export type Priority = 'urgent' | 'critical' | 'high' | 'normal' | 'low';

export interface TaskFields {
  /** Unique. A task with a known id is not run again. Generated if absent. */
  task_id?: string;
  priority?: Priority;
  requirements?: Requirements;
  max_attempts?: number;
  timeout_seconds?: number;
  /** ISO 8601. */
  not_before?: string;
  /** ISO 8601. */
  expires_at?: string;
  /** Groups tasks that belong together, such as a tenant's. Keys share agents in proportion to their weights. */
  fairness_key?: string;
  /** 0.001 to 1000; 1 if absent. A weight that operators set for the key takes precedence. */
  fairness_weight?: number;
  /** Key/value texts, such as its team; up to 16. Passed to the agent, and shown with the task. */
  labels?: Record<string, string>;
  /** Units of named limits that an attempt takes, whole numbers. It starts once all of them are available. */
  uses?: Record<string, number>;
}

export interface TaskState {
  task_id: string;
  status: 'queued' | 'assigned' | 'completed' | 'failed' | 'cancelled' | 'expired';
  attempt?: number;
  agent_id?: string;
  result?: Json;
  progress?: Json;
  error?: Json;
  [field: string]: Json | undefined;
}

/** A coordinator refused a request. `status` is the HTTP status, `message` the reason in one sentence. */
export class CoordinatorError extends Error {
  readonly status: number;
}

/** No coordinator answers, or Kafka or Redis is unavailable. The request may be repeated. */
export class Unavailable extends CoordinatorError {}

/** Submits tasks, and follows them. */
export class Client {
  /**
   * @param urls base addresses of coordinators. They are interchangeable: if one does not answer, the next is tried.
   * @param options `timeoutMs`: until a coordinator counts as unavailable, in addition to the time a request may wait; 10,000 by default.
   * `apiKey`: API key or token, needed while security is on; the environment variable `AITBC_API_KEY` by default
   */
  constructor(urls: string | string[], options?: { timeoutMs?: number; apiKey?: string });
  /** Submits a task and returns its id. It runs once, even if a second coordinator has to be tried. */
  submit(taskData: { [name: string]: Json }, fields?: TaskFields): Promise<string>;
  /** Submits tasks, and returns the outcome of each, in order. Ids are generated as by {@link submit}. */
  submitBatch(
    tasks: (TaskFields & { task_data: { [name: string]: Json } })[],
  ): Promise<{ index: number; status: 'accepted' | 'repeated' | 'refused'; task_id?: string; detail?: string }[]>;
  /** The state of a task. */
  get(taskId: string): Promise<TaskState>;
  /** The state of a task once it has ended, or its current state after `timeoutMs`, 60,000 by default: check `status`. */
  wait(taskId: string, timeoutMs?: number): Promise<TaskState>;
  /** Cancels a task, whether it is waiting or assigned. */
  cancel(taskId: string): Promise<{ [name: string]: Json }>;
  /** Why a task is where it is: what it waits for, or how it ended. */
  explain(taskId: string): Promise<{ explanation: string; [name: string]: Json }>;
  /** Calls any endpoint at the first coordinator that answers. */
  call(
    method: string,
    path: string,
    body?: unknown,
    waitMs?: number,
    signal?: AbortSignal,
    headers?: { [name: string]: string },
  ): Promise<any>;
}

/** A task for this agent to execute. */
export interface Assignment {
  assignment_id: string;
  task_id: string;
  attempt: number;
  agent_id: string;
  priority: Priority;
  task_data: { [name: string]: any };
  requirements: Requirements;
  max_attempts: number;
  timeout_seconds: number;
  submitted_at: string;
  assigned_at: string;
  /** Deadline as of the assignment, by the coordinators' clock. Progress extends the attempt, not this field. */
  deadline: string;
  fairness_key?: string;
  fairness_weight?: number;
  labels?: Record<string, string>;
  uses?: Record<string, number>;
  /** Context for spans of the handler, in the format of W3C Trace Context. */
  traceparent?: string;
}

export interface Context {
  /** Aborted once the task was cancelled, or given to another agent, or the agent stops. Its result is ignored then. */
  signal: AbortSignal;
  /** Reports progress, which extends the deadline. Of several reports in a second, the newest counts. */
  progress(payload: Json): Promise<void>;
  /** Units of limits in `uses` that the attempt has really used, set by the handler: their budgets are corrected by it. */
  usage: Record<string, number>;
}

/** What it resolves to is the result. If it throws, the attempt has failed, and is retried with backoff. */
export type Handler = (assignment: Assignment, context: Context) => Promise<Json | void> | Json | void;

/** Thrown by a handler if the task fails however often it is tried, for example for invalid input. */
export class PermanentFailure extends Error {}

/** Thrown by a handler if the next attempt should wait, up to a day, for example for a rate limit. */
export class RetryLater extends Error {
  /** @param limit one in the assignment's `uses`, of which no task gets units until then, as after a provider's 429 */
  constructor(message: string, seconds: number, limit?: string);
  readonly seconds: number;
  readonly limit?: string;
}

/** Thrown by a handler that does not execute a task that another agent could. Costs no attempt. */
export class Reject extends Error {}

export interface WorkerOptions {
  capabilities?: string[];
  /** How many assignments it executes at once; 1 by default. */
  capacity?: number;
  agent_type?: string;
  services?: string[];
  tags?: string[];
  region?: string;
  /** What it has for the tasks it works on at the same time, with at most three decimals. */
  resources?: Record<string, number>;
  /** How long it finishes assignments before it cancels their handlers, and rejects them up to 2 s later; 30,000 ms by default. */
  drainMs?: number;
  /** As of {@link Client}: a key with role agent, for this agent. */
  apiKey?: string;
  /** Receives warnings; the console by default. */
  log?: { warn(...message: unknown[]): void };
}

/**
 * An agent. It registers, claims assignments, confirms and deduplicates them, reports results until they are accepted, and drains on
 * SIGTERM and SIGINT: it takes no new assignments, finishes those it has, rejects what is not finished in time, and deregisters.
 */
export class Worker {
  readonly client: Client;
  /** @param agentId unique among all agents */
  constructor(urls: string | string[], agentId: string, options?: WorkerOptions);
  /** Registers the handler of all tasks that have no handler of their own. */
  handle(handler: Handler): this;
  /** Registers the handler of tasks with this `task_data.task_type`. */
  handle(taskType: string, handler: Handler): this;
  /** Resolves once it has drained, after SIGTERM, SIGINT or {@link stop}. A handler that ignores its `signal` may still run then. */
  run(options?: { signals?: boolean }): Promise<void>;
  /** Begins to drain. */
  stop(): void;
}
