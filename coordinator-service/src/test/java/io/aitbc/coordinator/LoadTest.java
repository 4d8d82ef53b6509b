package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.aitbc.contracts.Priority;
import io.aitbc.localstack.LocalStack;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.Test;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The guarantees under load, on a real broker and a real Redis. */
class LoadTest {
    private static final Logger log = LoggerFactory.getLogger(LoadTest.class);
    private static final Duration LONG = Duration.ofMinutes(3);
    private static final LocalStack STACK = LocalStack.shared();

    @Test
    void unmatchableTasksDoNotDelayOthers() {
        try (RunningCoordinator coordinator =
                        RunningCoordinator.start(STACK, "blocked.", 9, "--aitbc.topics.partitions=12");
                LoadedAgents agents = LoadedAgents.start(coordinator, STACK.bootstrapServers(), 10, 100, "able")) {
            long alone = medianMs(coordinator, agents, "alone");
            submit(coordinator, "absent", 0, 50_000, "absent", Priority.URGENT);
            await().atMost(LONG).until(() -> size(coordinator, "urgent") == 50_000);
            long behind = medianMs(coordinator, agents, "behind");
            log.info(
                    "1,000 tasks alone: {} ms, behind 50,000 blocked ones: {} ms, ratio {}",
                    alone,
                    behind,
                    String.format("%.2f", (double) behind / alone));
            // Sizes are as of the last commits.
            await().atMost(LONG).until(() -> size(coordinator, "urgent") == 50_000);
        }
    }

    @Test
    void clearedTasksAreNotExecutedAndTheCountIsExact() throws Exception {
        int count = 12_000;
        try (RunningCoordinator coordinator = RunningCoordinator.start(STACK, "clearing.", 10);
                RunningCoordinator other = RunningCoordinator.start(STACK, "clearing.", 10);
                LoadedAgents agents = LoadedAgents.start(coordinator, STACK.bootstrapServers(), 3, 4, "clearing")) {
            AtomicInteger submitted = new AtomicInteger();
            CompletableFuture<Void> submitting = CompletableFuture.runAsync(() -> {
                while (submitted.get() < count) {
                    submit(coordinator, "clearing", submitted.get(), 200, "clearing", Priority.NORMAL);
                    submitted.addAndGet(200);
                }
            });
            List<Integer> counts = new ArrayList<>();
            for (int i = 0; i < 5; i++) {
                int least = (i + 1) * count / 6;
                await().atMost(LONG).until(() -> submitted.get() >= least);
                counts.add((i % 2 == 0 ? coordinator : other)
                        .post("/tasks/queues/normal/clear", "")
                        .body()
                        .get("cleared_count")
                        .asInt());
            }
            submitting.join();
            int sum = counts.stream().mapToInt(Integer::intValue).sum();
            await().atMost(LONG).until(() -> completed(coordinator) + sum == count);

            Set<String> cancelled = new HashSet<>();
            for (int i = 0; i < count; i++) {
                String id = "clearing-" + i;
                if (!agents.executed().contains(id)) {
                    cancelled.add(id);
                }
            }
            log.info("{} executed, {} cleared by {}", agents.executed().size(), cancelled.size(), counts);
            assertThat(sum).isPositive();
            assertThat(cancelled).as("cleared, as counted").hasSize(sum);
            assertThat(agents.executed()).hasSize(count - sum);
            assertThat(coordinator
                            .get("/tasks/status")
                            .body()
                            .at("/stats/tasks_cancelled")
                            .asInt())
                    .isEqualTo(sum);
            cancelled.stream()
                    .limit(200)
                    .forEach(id -> assertThat(coordinator
                                    .get("/tasks/" + id)
                                    .body()
                                    .get("status")
                                    .asString())
                            .isEqualTo("cancelled"));
        }
    }

    /** Returns the median of five times that 1,000 tasks take to be executed. It is only logged, not asserted. */
    private static long medianMs(RunningCoordinator coordinator, LoadedAgents agents, String name) {
        return IntStream.range(0, 5)
                .mapToLong(i -> finish(coordinator, agents, name + "-" + i, 1_000))
                .sorted()
                .skip(2)
                .findFirst()
                .getAsLong();
    }

    private static long finish(RunningCoordinator coordinator, LoadedAgents agents, String name, int count) {
        int before = agents.executed().size();
        long start = System.nanoTime();
        submit(coordinator, name, 0, count, "able", Priority.NORMAL);
        await().atMost(LONG)
                .pollInterval(Duration.ofMillis(20))
                .until(() -> agents.executed().size() == before + count);
        return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start);
    }

    private static void submit(
            RunningCoordinator coordinator,
            String name,
            int from,
            int count,
            String capability,
            Priority... priorities) {
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(
                Map.of(
                        ProducerConfig.BOOTSTRAP_SERVERS_CONFIG,
                        STACK.bootstrapServers(),
                        ProducerConfig.LINGER_MS_CONFIG,
                        5),
                new StringSerializer(),
                new StringSerializer())) {
            List<Future<?>> sent = IntStream.range(from, from + count)
                    .<Future<?>>mapToObj(i -> producer.send(new ProducerRecord<>(
                            coordinator.topics().tasks(priorities[i % priorities.length]),
                            name + "-" + i,
                            "{\"task_id\":\"" + name + "-" + i
                                    + "\",\"task_data\":{\"text\":\"some words to carry along\"},"
                                    + "\"requirements\":{\"capabilities\":[\"" + capability + "\"]}}")))
                    .toList();
            for (Future<?> one : sent) {
                one.get();
            }
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private static int completed(RunningCoordinator coordinator) {
        return coordinator
                .get("/tasks/status")
                .body()
                .at("/stats/tasks_completed")
                .asInt();
    }

    private static int size(RunningCoordinator coordinator, String priority) {
        return coordinator
                .get("/tasks/queues")
                .body()
                .at("/queue_sizes/" + priority)
                .asInt();
    }
}
