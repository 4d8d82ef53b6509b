package io.aitbc.examples.orders;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import io.aitbc.contracts.TaskEvent;
import io.aitbc.contracts.Topics;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.stereotype.Service;

/** Has orders packed by agents. */
@Service
class OrderService {
    private static final Logger log = LoggerFactory.getLogger(OrderService.class);
    /** Others submit tasks too: those of this service are known by it. */
    private static final String TASK_PREFIX = "order-";

    private final KafkaTemplate<String, String> kafka;
    private final Orders orders;
    private final Topics topics;

    OrderService(KafkaTemplate<String, String> kafka, Orders orders, @Value("${orders.topic-prefix:}") String prefix) {
        this.kafka = kafka;
        this.orders = orders;
        this.topics = new Topics(prefix);
    }

    /**
     * Submits the task of an order. Its id is derived from the number, so that a repeated call does not have it packed twice.
     *
     * @return completes once Kafka has it; from then on the coordinator sees it through
     */
    CompletableFuture<?> pack(int number, String article) {
        String taskId = TASK_PREFIX + number;
        Task task = Task.of(
                taskId,
                Json.object().put("task_type", "pack").put("article", article),
                Requirements.capabilities("pack"));
        orders.add(taskId);
        return kafka.send(topics.tasks(Priority.NORMAL), taskId, Json.text(task));
    }

    /** Called with what happens to tasks. The offset is committed once this returns. */
    @KafkaListener(
            topics = "${orders.topic-prefix:}tasks.events",
            groupId = "${orders.topic-prefix:}orders",
            properties = "auto.offset.reset=earliest")
    void happened(String json) {
        TaskEvent event;
        try {
            event = Json.read(json.getBytes(StandardCharsets.UTF_8), TaskEvent.class);
        } catch (Json.MalformedMessageException e) {
            // Such as one of a type that this version does not know.
            log.warn("Skipped an event that cannot be read: {}", e.getMessage());
            return;
        }
        if (event.kind().isEnd()
                && event.taskId().startsWith(TASK_PREFIX)
                && orders.end(event.taskId(), event.kind().wireName(), event.sequence())) {
            log.info("{} is {}", event.taskId(), event.kind().wireName());
        }
    }
}
