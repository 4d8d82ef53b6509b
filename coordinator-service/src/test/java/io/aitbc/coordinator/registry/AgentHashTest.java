package io.aitbc.coordinator.registry;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Registration;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class AgentHashTest {
    /** The registration script splits its arguments by this number of fields: a wrong one would make it misread all that follow. */
    @Test
    void theNumberOfFieldsMatchesTheConstant() {
        List<String> written = AgentHash.fields(Registration.of("agent", "worker", List.of("hash"), 3));
        Map<String, String> hash = IntStream.range(0, written.size() / 2)
                .boxed()
                .collect(Collectors.toMap(i -> written.get(2 * i), i -> written.get(2 * i + 1)));

        assertThat(hash).hasSize(AgentHash.REGISTRATION_FIELDS);
        assertThat(AgentHash.registration(hash)).isEqualTo(hash);
    }
}
