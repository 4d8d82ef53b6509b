package io.aitbc.coordinator.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.Topics;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.NullSource;
import org.junit.jupiter.params.provider.ValueSource;

class TaskRecordsTest {
    private final TaskRecords records = new TaskRecords(Topics.unprefixed(), 1_000);

    @ParameterizedTest
    @CsvSource({"0, 0", "6, 6", "7, 7", "8, 7", "999999999999999999, 7"})
    void theHeaderGivesTheOriginalOffset(String header, long origin) throws TaskRecords.PoisonException {
        assertThat(records.read(record(header.getBytes(StandardCharsets.UTF_8))).origin())
                .isEqualTo(origin);
    }

    @ParameterizedTest
    @NullSource
    @ValueSource(strings = {"", "-1", "+1", "x", "1e3", "18446744073709551615"})
    void anInvalidHeaderIsRefused(String header) {
        byte[] value = header == null ? null : header.getBytes(StandardCharsets.UTF_8);
        assertThatThrownBy(() -> records.read(record(value)))
                .isInstanceOf(TaskRecords.PoisonException.class)
                .hasMessage("the header origin-offset must be an offset");
    }

    @Test
    void withoutTheHeaderATaskWasNotDeferred() throws TaskRecords.PoisonException {
        ConsumerRecord<byte[], byte[]> record = record(null);
        record.headers().remove(TaskHeaders.ORIGIN_OFFSET);
        assertThat(records.read(record).wasDeferred()).isFalse();
    }

    private static ConsumerRecord<byte[], byte[]> record(byte[] header) {
        ConsumerRecord<byte[], byte[]> record =
                new ConsumerRecord<>("tasks.low", 0, 7, null, "{\"task_data\":{}}".getBytes(StandardCharsets.UTF_8));
        record.headers().add(TaskHeaders.ORIGIN_OFFSET, header);
        return record;
    }
}
