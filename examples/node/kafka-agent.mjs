#!/usr/bin/env node
/**
 * A complete agent over Kafka, with KafkaJS: npm install kafkajs
 *
 *     KAFKA=localhost:9092 AGENT_ID=node-kafka-1 node kafka-agent.mjs
 *
 * It works on up to CAPACITY assignments at once. Replace `handle`.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs from 'kafkajs';

const { Kafka, logLevel } = kafkajs;
const env = process.env;
const AGENT_ID = env.AGENT_ID ?? 'node-kafka-1';
const PREFIX = env.AITBC_TOPICS_PREFIX ?? '';
const CAPACITY = Number(env.CAPACITY ?? 5);
const DRAIN_MS = Number(env.DRAIN_SECONDS ?? 30) * 1000;
const HEARTBEAT_MS = 10_000;
const REMEMBERED = 10_000;
const TOPIC = `${PREFIX}assignments.${AGENT_ID}`;

/** Does the work, and returns the result, any JSON. `signal` is aborted when the task is cancelled; `progress(...)` extends the deadline. */
async function handle(assignment, { signal, progress }) {
  const data = assignment.task_data;
  await sleep(1000 * (data.seconds ?? 0), undefined, { signal });
  if (data.fail) {
    throw new Error(data.fail);
  }
  return { said: 'hello from Node', echo: data };
}

/** Throw it to hand the task to another agent. It costs no attempt. */
export class Rejected extends Error {}

/** Throw it if a retry cannot help. The task is dead-lettered at once. */
export class Permanent extends Error {}

const instanceId = randomUUID();
const kafka = new Kafka({
  clientId: AGENT_ID,
  brokers: (env.KAFKA ?? 'localhost:9092').split(','),
  logLevel: logLevel.ERROR,
  retry: { retries: Number.MAX_SAFE_INTEGER, maxRetryTime: 5000 },
});
const producer = kafka.producer({ allowAutoTopicCreation: false });
const consumer = kafka.consumer({ groupId: `${PREFIX}agent.${AGENT_ID}`, allowAutoTopicCreation: false, maxWaitTimeInMs: 200 });
const running = new Map(); // assignment_id -> AbortController
const open = new Map(); // offset -> the assignment, or true once it is reported
const seen = new Map(); // grants, so that a redelivered assignment is not run again
const cancelled = new Map(); // assignment_id -> when, in case its assignment arrives later
const waiting = [];
let working = 0;
let stopping = false;

function remember(known, key, value = true) {
  known.set(key, value);
  if (known.size > REMEMBERED) {
    known.delete(known.keys().next().value);
  }
}

/** An assignment made after the cancellation belongs to a new task with the same id. */
function isCancelled({ assignment_id, assigned_at }) {
  // Without a time, the comparison is false: it is cancelled.
  return cancelled.has(assignment_id) && !(Date.parse(assigned_at) > Date.parse(cancelled.get(assignment_id)));
}

/** Repeats a send until Kafka has it. */
async function send(topic, key, value, headers) {
  for (;;) {
    try {
      return await producer.send({ topic: PREFIX + topic, acks: -1, messages: [{ key, value: JSON.stringify(value), headers }] });
    } catch (e) {
      if (e.type === 'MESSAGE_TOO_LARGE' || e.type === 'RECORD_LIST_TOO_LARGE') {
        throw e;
      }
      console.error('Not sent, retrying:', e.message);
      await sleep(1000);
    }
  }
}

/** Without a status it is unchanged: an operator's drain lasts. */
function heartbeat(status) {
  return send('agents.heartbeat', AGENT_ID, {
    agent_id: AGENT_ID, instance_id: instanceId, status,
    registration: { agent_id: AGENT_ID, agent_type: 'worker', capabilities: ['node'], capacity: CAPACITY },
  }, env.AITBC_API_KEY && { 'api-key': env.AITBC_API_KEY }); // required while the coordinators' security is on
}

async function report(assignment, offset, fields) {
  if (open.get(offset) !== assignment) {
    return; // reported before
  }
  const result = { assignment_id: assignment.assignment_id, task_id: assignment.task_id, attempt: assignment.attempt, agent_id: AGENT_ID, signature: assignment.signature };
  try {
    await send('tasks.results', assignment.task_id, { ...result, ...fields });
  } catch {
    await send('tasks.results', assignment.task_id, { ...result, status: 'failed', error: 'the result is too large' });
  }
  open.set(offset, true); // only now may its offset be committed
}

async function work(assignment, offset, controller) {
  const { signal } = controller;
  const started_at = new Date().toISOString();
  let outcome;
  try {
    const progress = (soFar) => send('tasks.results', assignment.task_id, {
      task_id: assignment.task_id, attempt: assignment.attempt, agent_id: AGENT_ID, status: 'progress', result: soFar,
      signature: assignment.signature,
    });
    outcome = { status: 'completed', result: await handle(assignment, { signal, progress }) };
  } catch (e) {
    outcome = e instanceof Rejected ? { status: 'rejected', error: e.message }
      : { status: 'failed', error: e.message, ...(e instanceof Permanent ? { retryable: false } : {}) };
  }
  if (running.get(assignment.assignment_id) === controller) { // not that of a new task with the same id
    running.delete(assignment.assignment_id);
  }
  if (signal.aborted) {
    open.set(offset, true); // its result is of no use
  } else {
    await report(assignment, offset, { ...outcome, started_at, finished_at: new Date().toISOString() });
  }
}

function startWaiting() {
  while (working < CAPACITY && waiting.length > 0) {
    const [assignment, offset, controller] = waiting.shift();
    working++;
    (controller.signal.aborted ? Promise.resolve(open.set(offset, true)) : work(assignment, offset, controller)).finally(() => {
      working--;
      startWaiting();
    });
  }
}

function take(message) {
  const offset = Number(message.offset);
  open.set(offset, true);
  let assignment;
  try {
    assignment = JSON.parse(message.value.toString());
  } catch (e) {
    console.error('Skipped a record that is not an assignment:', e.message);
    return;
  }
  if (assignment.type !== undefined) { // a cancellation, or a message from a later version
    if (assignment.type === 'cancellation') {
      remember(cancelled, assignment.assignment_id, assignment.cancelled_at);
      running.get(assignment.assignment_id)?.abort();
    }
    return;
  }
  const grant = `${assignment.assignment_id} ${assignment.assigned_at}`;
  if (!assignment.assignment_id || seen.has(grant) || isCancelled(assignment)) {
    return;
  }
  remember(seen, grant);
  open.set(offset, assignment);
  const controller = new AbortController();
  running.set(assignment.assignment_id, controller);
  waiting.push([assignment, offset, controller]);
  startWaiting();
}

/** Commits up to the first assignment without a report. */
async function commit() {
  let next = null;
  for (const offset of [...open.keys()].sort((a, b) => a - b)) {
    if (open.get(offset) !== true) {
      break;
    }
    open.delete(offset);
    next = offset + 1;
  }
  if (next !== null) {
    await consumer.commitOffsets([{ topic: TOPIC, partition: 0, offset: String(next) }]);
  }
}

const unreported = () => [...open].filter(([, assignment]) => assignment !== true);

await producer.connect();
await heartbeat('active'); // a drain of an earlier process is over
const beating = setInterval(() => heartbeat(stopping ? 'maintenance' : undefined), HEARTBEAT_MS);
await consumer.connect();
for (;;) {
  try {
    await consumer.subscribe({ topic: TOPIC, fromBeginning: true });
    break;
  } catch { // the topic is created at the first heartbeat
    await sleep(1000);
  }
}
await consumer.run({ autoCommit: false, eachMessage: async ({ message }) => take(message) });
const committing = setInterval(() => commit().catch((e) => console.error('Not committed, retrying:', e.message)), 200);

async function stop() {
  if (stopping) {
    return;
  }
  stopping = true;
  await heartbeat('maintenance');
  const until = Date.now() + DRAIN_MS;
  while (unreported().length > 0 && Date.now() < until) {
    await sleep(100);
  }
  // What is not finished goes to another agent, without using an attempt.
  await Promise.all(unreported().map(([offset, assignment]) => report(assignment, offset, { status: 'rejected', error: 'the agent is shutting down' })));
  clearInterval(beating);
  clearInterval(committing);
  await commit();
  await consumer.disconnect();
  await heartbeat('inactive');
  await producer.disconnect();
  process.exit(0); // handlers that still run are not waited for
}
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
