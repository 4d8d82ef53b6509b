package io.aitbc.coordinator.settle;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.TaskResult;
import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.intake.DeadLetters;
import io.aitbc.coordinator.kafka.ConsumerLoop;
import io.aitbc.coordinator.kafka.KafkaClients;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;

/** Reads {@code tasks.results} and settles what agents report. */
final class ResultLoop implements AutoCloseable {
    private final Attempts attempts;
    private final GiveBack giveBack;
    private final AssignmentArchive archive;
    private final DeadLetters deadLetters;
    private final Clock clock;
    private final ConsumerLoop loop;

    ResultLoop(
            KafkaClients clients,
            Topics topics,
            Attempts attempts,
            GiveBack giveBack,
            DeadLetters deadLetters,
            Clock clock) {
        this.attempts = attempts;
        this.giveBack = giveBack;
        this.archive = new AssignmentArchive(clients, topics);
        this.deadLetters = deadLetters;
        this.clock = clock;
        this.loop = new ConsumerLoop("results", () -> open(clients, topics), this::handle, true);
    }

    void start() {
        loop.start();
    }

    @Override
    public void close() {
        loop.close();
        archive.close();
    }

    private static Consumer<byte[], byte[]> open(KafkaClients clients, Topics topics) {
        KafkaConsumer<byte[], byte[]> consumer = clients.groupConsumer(
                topics.prefix() + "agent-coordinator.results", Map.of(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 2_000));
        consumer.subscribe(List.of(topics.results()));
        return consumer;
    }

    private void handle(ConsumerRecords<byte[], byte[]> records) {
        List<TaskResult> results = new ArrayList<>(records.count());
        for (ConsumerRecord<byte[], byte[]> record : records) {
            try {
                results.add(Json.read(record.value() == null ? new byte[0] : record.value(), TaskResult.class));
            } catch (Json.MalformedMessageException e) {
                deadLetters.poison(record, "malformed", e.getMessage()).join();
            }
        }
        if (!results.isEmpty()) {
            settle(results);
        }
    }

    private void settle(List<TaskResult> results) {
        Instant now = clock.instant();
        List<Attempts.Settlement> settlements = attempts.settle(results, now);
        List<GiveBack.Ended> inVain = new ArrayList<>();
        for (int i = 0; i < results.size(); i++) {
            if (settlements.get(i) == Attempts.Settlement.TO_GIVE_BACK) {
                inVain.add(ended(results.get(i)));
            }
        }
        giveBack.giveBack(inVain, archive);
    }

    private GiveBack.Ended ended(TaskResult result) {
        Instant assignedAt = attempts.assignedAt(result.taskId());
        return new GiveBack.Ended(
                new Attempts.Held(result.taskId(), result.attempt(), result.agentId(), assignedAt),
                result.status() == TaskResult.Status.REJECTED ? NextStep.Ending.REJECTED : NextStep.Ending.FAILED,
                Json.text(result.error() == null ? "the agent gave no reason" : result.error()));
    }
}
