// Submits jobs to BullMQ, of which a worker does nothing and says so, and waits until each has its result in Redis.
// usage: node bullmq.mjs agents <port> <how many at once> | node bullmq.mjs submit <port> <count>
import { Queue, Worker } from 'bullmq';

const [role, port, number] = process.argv.slice(2);
const connection = { host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: null };

if (role === 'agents') {
  new Worker('tasks', async () => ({ ok: true }), { connection, concurrency: Number(number) });
} else {
  const count = Number(number);
  const queue = new Queue('tasks', { connection });
  const text = 'x'.repeat(200);
  const before = await queue.getCompletedCount();
  const start = Date.now();
  for (let i = 0; i < count; i += 1000) {
    await queue.addBulk(
      Array.from({ length: Math.min(1000, count - i) }, (_, j) => ({
        name: 'task',
        data: { text },
        opts: { priority: 1 + ((i + j) % 5) },
      })),
    );
  }
  while ((await queue.getCompletedCount()) - before < count) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  console.log((count * 1000) / (Date.now() - start));
  process.exit(0);
}
