package io.aitbc.coordinator.kafka;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Topics;
import io.aitbc.localstack.LocalStack;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.junit.jupiter.api.Test;

class TopicCatalogTest {
    private static final Topics TOPICS = new Topics("catalog.");

    /** There is one topic per agent, so the cost of each on the brokers matters. */
    @Test
    void agentTopicsHaveTheIntendedConfiguration() throws Exception {
        try (Admin admin =
                Admin.create(Map.of("bootstrap.servers", LocalStack.shared().bootstrapServers()))) {
            TopicCatalog catalog = new TopicCatalog(
                    admin,
                    TOPICS,
                    new TopicSettings(
                            "",
                            3,
                            (short) 0,
                            Duration.ofDays(7),
                            Duration.ofDays(5),
                            Duration.ofMinutes(1),
                            Duration.ofDays(1)),
                    true);
            catalog.createAgentTopics(List.of("agent-1"));
            catalog.createAgentTopics(List.of("agent-1"));

            ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, TOPICS.assignments("agent-1"));
            Config config = admin.describeConfigs(List.of(topic)).all().get().get(topic);
            assertThat(config.get(TopicConfig.SEGMENT_INDEX_BYTES_CONFIG).value())
                    .isEqualTo("1048576");
            assertThat(config.get(TopicConfig.MAX_MESSAGE_BYTES_CONFIG).value()).isEqualTo("2097152");
            assertThat(config.get(TopicConfig.RETENTION_MS_CONFIG).value())
                    .isEqualTo(String.valueOf(Duration.ofDays(5).toMillis()));
            assertThat(admin.describeTopics(List.of(topic.name()))
                            .allTopicNames()
                            .get()
                            .get(topic.name())
                            .partitions())
                    .hasSize(1);
        }
    }
}
