package io.aitbc.worker;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class RecentIdsTest {
    private final RecentIds ids = new RecentIds();

    @Test
    void aRepeatedIdIsKnown() {
        assertThat(ids.add("a")).isTrue();
        assertThat(ids.add("a")).isFalse();
    }

    @Test
    void theOldestIsForgottenForTheNewest() {
        ids.add("oldest");
        IntStream.range(0, RecentIds.CAPACITY - 1).forEach(i -> ids.add("id-" + i));
        assertThat(ids.add("oldest")).isFalse();
        ids.add("newest");
        assertThat(ids.add("id-0")).as("id-0 is still remembered").isFalse();
        assertThat(ids.add("oldest")).as("oldest is no longer remembered").isTrue();
    }
}
