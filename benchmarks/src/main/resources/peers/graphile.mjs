// Submits jobs to Graphile Worker, of which a worker does nothing and says so in a table, and reads their results from there.
// usage: node graphile.mjs agents <port> <how many at once> | node graphile.mjs submit <port> <count>
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import pg from 'pg';

const [role, port, number] = process.argv.slice(2);
const connectionString = `postgres://postgres@127.0.0.1:${port}/postgres`;
const options = { connectionString, logger: new Logger(() => () => {}) };
const pool = new pg.Pool({ connectionString });
const RESULT = '{"status":"completed","result":{"ok":true}}';

if (role === 'agents') {
  let unsaved = [];
  // One statement for all jobs that end in the same turn of the event loop.
  const save = async () => {
    const saving = unsaved;
    unsaved = [];
    await pool.query('insert into results select task, $2 from unnest($1::int[]) task', [
      saving.map(({ task }) => task),
      RESULT,
    ]);
    saving.forEach(({ done }) => done());
  };
  // The job ends, and so is deleted, once its result is committed.
  const complete = ({ task }) =>
    new Promise((done) => {
      if (unsaved.push({ task, done }) === 1) {
        setImmediate(save);
      }
    });
  await pool.query('create table results (task int, result json)');
  await run({
    ...options,
    taskList: { complete },
    preset: {
      worker: {
        concurrentJobs: Number(number),
        localQueue: { size: 5000 },
        completeJobBatchDelay: 20,
      },
    },
  });
} else {
  const count = Number(number);
  const { addJobs } = await makeWorkerUtils(options);
  const text = 'x'.repeat(200);
  const open = new Set(Array.from({ length: count }, (_, i) => i));
  const submit = async () => {
    for (let i = 0; i < count; i += 1000) {
      await addJobs(
        Array.from({ length: Math.min(1000, count - i) }, (_, j) => ({
          identifier: 'complete',
          payload: { task: i + j, text },
          priority: (i + j) % 5,
        })),
      );
    }
  };
  let repeated = 0;
  const receive = async () => {
    while (open.size > 0) {
      const { rows } = await pool.query('delete from results returning task, result');
      rows.forEach(({ task }) => open.delete(task) || repeated++);
      if (rows.length < 1000) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  };
  const start = Date.now();
  await Promise.all([submit(), receive()]);
  console.log((count * 1000) / (Date.now() - start));
  if (repeated > 0) {
    console.error(`${repeated} results came more than once`);
  }
  process.exit(0);
}
