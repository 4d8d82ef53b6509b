// Runs against a coordinator: COORDINATOR_URL=http://localhost:9001 node --test test/
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, CoordinatorError, PermanentFailure, Reject, RetryLater, Unavailable, Worker } from 'agent-coordinator';

const URL = process.env.COORDINATOR_URL;
const client = new Client(URL);

async function until(condition, ms = 60_000) {
  for (const end = Date.now() + ms; ; await sleep(20)) {
    const value = await condition();
    if (value) {
      return value;
    }
    assert.ok(Date.now() < end, 'the condition was not met in time');
  }
}

/** A worker, alone with its capability. */
function agent(t, options = {}, id = 'node-' + randomUUID().slice(0, 12)) {
  const worker = new Worker(URL, id, { capabilities: [id], log: { warn() {} }, ...options });
  let running;
  const it = {
    id,
    worker,
    start() {
      running = worker.run({ signals: false });
    },
    async stop() {
      worker.stop();
      await running;
    },
    submit: (taskData, fields = {}) => client.submit(taskData, { requirements: { capabilities: [id] }, ...fields }),
  };
  t.after(() => it.stop());
  return it;
}

/** Stands in for a coordinator, and keeps what it is sent. `answer` returns a status and a body. */
async function stub(t, answer) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const content = (await request.toArray()).join('');
    const body = content === '' ? undefined : JSON.parse(content);
    requests.push({ path: request.url, headers: request.headers, body });
    const [status, answered] = await answer(request.url, body);
    response.writeHead(status).end(JSON.stringify(answered));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, sent: (path) => requests.filter((one) => one.path === path) };
}

test('handlers are chosen by task type', async (t) => {
  const it = agent(t, { capacity: 4 });
  it.worker.handle('double', ({ task_data }) => task_data.n * 2);
  it.worker.handle(async ({ task_id, attempt }) => ({ task_id, attempt }));
  it.start();
  const doubled = await it.submit({ task_type: 'double', n: 21 });
  const other = await it.submit({ task_type: 'unknown' });
  assert.equal((await client.wait(doubled)).result, 42);
  assert.deepEqual((await client.wait(other)).result, { task_id: other, attempt: 1 });
});

test('a failure says how to go on', async (t) => {
  const it = agent(t);
  it.worker.handle(({ task_data, attempt }) => {
    if (task_data.kind === 'permanent') {
      throw new PermanentFailure('the prompt is empty');
    }
    if (task_data.kind === 'later' && attempt === 1) {
      throw new RetryLater('rate limit', 1);
    }
    return task_data.kind === 'odd' ? 1n : 'done';
  });
  it.start();
  const permanent = await client.wait(await it.submit({ kind: 'permanent' }));
  assert.deepEqual([permanent.status, permanent.attempt], ['failed', 1]);
  assert.match(JSON.stringify(permanent.error), /the prompt is empty/);
  const odd = await client.wait(await it.submit({ kind: 'odd' }, { max_attempts: 1 }));
  assert.match(JSON.stringify(odd.error), /cannot be written as JSON/);
  const begun = Date.now();
  const later = await client.wait(await it.submit({ kind: 'later' }));
  assert.deepEqual([later.status, later.result, later.attempt], ['completed', 'done', 2]);
  assert.ok(Date.now() - begun >= 1000);
});

test('a rejected task keeps its attempts', async (t) => {
  const it = agent(t);
  it.worker.handle(({ attempt }) => {
    if (attempt === 1) {
      throw new Reject('not today');
    }
    return 'accepted';
  });
  it.start();
  assert.equal((await client.wait(await it.submit({}, { max_attempts: 1 }))).result, 'accepted');
});

test('never more than the capacity', async (t) => {
  const it = agent(t, { capacity: 3 });
  let running = 0;
  let highest = 0;
  it.worker.handle(async () => {
    highest = Math.max(highest, ++running);
    await sleep(100);
    running--;
  });
  it.start();
  const task = { task_data: {}, requirements: { capabilities: [it.id] } };
  const tasks = await client.submitBatch(Array.from({ length: 12 }, () => task));
  for (const { task_id } of tasks) {
    assert.equal((await client.wait(task_id)).status, 'completed');
  }
  assert.equal(highest, 3);
});

test('progress and cancellation', async (t) => {
  const it = agent(t);
  let heard = false;
  it.worker.handle(async (_, { signal, progress }) => {
    await progress({ percent: 40 });
    await once(signal, 'abort');
    heard = true;
  });
  it.start();
  const task = await it.submit({});
  await until(async () => (await client.get(task)).progress?.percent === 40);
  await client.cancel(task);
  await until(() => heard);
  assert.equal((await client.get(task)).status, 'cancelled');
});

test('what is not finished is handed back', async (t) => {
  const it = agent(t, { drainMs: 200 });
  let started = false;
  let ended = false;
  it.worker.handle(async (_, { signal }) => {
    started = true;
    await once(signal, 'abort');
    await sleep(200);
    ended = true;
  });
  it.start();
  const task = await it.submit({});
  await until(() => started);
  await it.stop();
  assert.ok(ended);
  const state = await until(async () => {
    const seen = await client.get(task);
    return seen.status === 'queued' && seen;
  });
  assert.equal(state.attempt, 2);
  assert.match(JSON.stringify(state.error), /the agent is shutting down/);
  await assert.rejects(client.call('POST', `/agents/${it.id}/heartbeat`), { status: 404 });
});

test('a process that stops leaves its successor in service', async (t) => {
  // The capacity is that of the id: both processes share it.
  const old = agent(t, { capacity: 2 });
  let started = false;
  let end;
  const ending = new Promise((resolve) => (end = resolve));
  old.worker.handle(async () => {
    started = true;
    await ending;
    return 'old';
  });
  old.start();
  const first = await old.submit({});
  await until(() => started);
  const successor = agent(t, { capacity: 2 }, old.id);
  successor.worker.handle(() => 'new');

  old.worker.stop();
  successor.start();
  assert.equal((await client.wait(await old.submit({}))).result, 'new');

  end();
  assert.equal((await client.wait(first)).result, 'old');
  await old.stop();
  assert.equal((await client.wait(await old.submit({}))).result, 'new');
  assert.equal((await client.call('GET', `/agents/${old.id}`)).agent.status, 'active');
});

test('it stops although no coordinator answers', async (t) => {
  const it = agent(t, { drainMs: 200 });
  let started = false;
  it.worker.handle((_, { signal }) => {
    started = true;
    return once(signal, 'abort').then(() => null);
  });
  it.start();
  await it.submit({});
  await until(() => started);
  it.worker.client = new Client('http://127.0.0.1:1');
  await it.stop();
});

test("it goes by the coordinators' clock, and keeps to the trace", async (t) => {
  const behind = Date.now() - 3_600_000;
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const assignment = {
    assignment_id: 'one:1',
    task_id: 'one',
    attempt: 1,
    task_data: {},
    assigned_at: new Date(behind),
    deadline: new Date(behind + 600_000),
    traceparent,
  };
  const coordinator = await stub(t, async (path) => {
    if (!path.endsWith('/claim')) {
      return [200, {}];
    }
    await sleep(50);
    return [200, { assignments: [assignment], cancelled: [], timestamp: new Date(behind) }];
  });
  const worker = new Worker(coordinator.url, 'late', { capacity: 5_000 });
  worker.handle(async (_, { progress }) => {
    await progress('soon');
    return 'done';
  });
  const running = worker.run({ signals: false });
  const reports = await until(() => {
    const sent = coordinator.sent('/tasks/one/results');
    return sent.length === 2 && sent;
  });
  worker.stop();
  await running;
  assert.deepEqual(reports.map(({ body }) => body.status), ['progress', 'completed']);
  assert.deepEqual(reports.map(({ headers }) => headers.traceparent), [traceparent, traceparent]);
  assert.equal(coordinator.sent('/agents/late/assignments/claim')[0].body.max, 1_000);
});

test('SIGTERM drains', async (t) => {
  const name = 'node-' + randomUUID().slice(0, 12);
  const script = `
    import { Worker } from 'agent-coordinator';
    const worker = new Worker('${URL}', '${name}', { capabilities: ['${name}'] });
    worker.handle(async () => {
      console.log('started');
      await new Promise((resolve) => setTimeout(resolve, 1000));
      return 'finished';
    });
    await worker.run();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  const task = await client.submit({}, { requirements: { capabilities: [name] } });
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  assert.deepEqual(await exited, [0, null]);
  assert.equal((await client.wait(task)).result, 'finished');
});

test('a repeated submission runs once', async () => {
  const fields = { task_id: 'node-' + randomUUID(), requirements: { capabilities: ['nobody'] } };
  assert.equal(await client.submit({}, fields), fields.task_id);
  assert.equal(await client.submit({}, fields), fields.task_id);
  assert.equal((await client.wait(fields.task_id, 200)).status, 'queued');
  assert.match((await client.explain(fields.task_id)).explanation, /no agent/);
  await client.cancel(fields.task_id);
  assert.equal((await client.wait(fields.task_id)).status, 'cancelled');
});

test('a submission has the same id at the next coordinator', async (t) => {
  const first = await stub(t, () => [503, { detail: 'Kafka is unavailable' }]);
  const requirements = { capabilities: ['nobody'] };
  const task = await new Client([first.url, URL]).submit({}, { requirements });
  assert.deepEqual(first.sent('/tasks/submit').map(({ body }) => body.task_id), [task]);
  const named = 'node-' + randomUUID();
  const tasks = [{ task_data: {}, requirements }, { task_data: { task_id: named }, requirements }];
  const submitted = (await new Client([first.url, URL]).submitBatch(tasks)).map(({ task_id }) => task_id);
  assert.deepEqual(submitted, [first.sent('/tasks/submit/batch')[0].body[0].task_id, named]);
  await Promise.all([task, ...submitted].map((one) => client.cancel(one)));
});

test('errors have a status and a reason', async () => {
  await assert.rejects(client.submit({}, { priority: 'soon' }), (e) => {
    assert.ok(e instanceof CoordinatorError);
    assert.equal(e.status, 400);
    assert.match(e.message, /priority/);
    return true;
  });
  await assert.rejects(new Client('http://127.0.0.1:1').get('any'), Unavailable);
  const failover = new Client(['http://127.0.0.1:1', URL]);
  assert.equal((await failover.call('GET', '/health')).status, 'healthy');
});
