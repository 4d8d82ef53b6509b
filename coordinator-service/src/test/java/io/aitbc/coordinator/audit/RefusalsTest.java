package io.aitbc.coordinator.audit;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.AuditRecord;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;

class RefusalsTest {
    private final Refusals refusals = new Refusals();

    private static AuditRecord refusal(String id, String address, String action) {
        return new AuditRecord(id, Instant.EPOCH, null, address, null, action, null, 401, "the key is unknown", null);
    }

    @Test
    void ofThoseThatAreAlikeTheFirstIsRecordedAndTheOthersAreCounted() {
        assertThat(refusals.add(refusal("1", "a", "GET /agents"))).isTrue();
        assertThat(refusals.add(refusal("2", "a", "GET /agents"))).isFalse();
        assertThat(refusals.add(refusal("3", "b", "GET /agents"))).isTrue();
        assertThat(refusals.add(refusal("4", "a", "GET /keys"))).isTrue();
        assertThat(refusals.add(refusal("5", "a", "GET /agents"))).isFalse();

        assertThat(refusals.drain())
                .containsExactly(refusal("5", "a", "GET /agents").withCount(2));

        assertThat(refusals.drain()).isEmpty();
        assertThat(refusals.add(refusal("6", "a", "GET /agents"))).isTrue();
    }

    @Test
    void ofTooManyThatDifferOnlyTheNumberIsRecorded() {
        int recorded = 0;
        for (int i = 0; i < 1_000; i++) {
            recorded += refusals.add(refusal("r-" + i, "address-" + i, "GET /agents")) ? 1 : 0;
        }

        assertThat(recorded).isEqualTo(Refusals.MAX_GROUPS);
        List<AuditRecord> counted = refusals.drain();
        assertThat(counted).hasSize(1);
        assertThat(counted.get(0).count()).isEqualTo(1_000L - Refusals.MAX_GROUPS);
        assertThat(counted.get(0).remoteAddress()).isNull();
        assertThat(counted.get(0).action()).isNull();
        assertThat(counted.get(0).status()).isEqualTo(401);
    }
}
