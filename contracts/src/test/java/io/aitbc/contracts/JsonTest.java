package io.aitbc.contracts;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

class JsonTest {
    @ParameterizedTest
    @ValueSource(strings = {"1e2147483648", "-1e-2147483649", "1e99999999999", "0.1e2147483649"})
    void aNumberOutOfRangeIsAnErrorOfTheDocument(String number) {
        String object = "{\"a\":[" + number + "]}";
        for (Class<? extends JsonNode> type : List.of(JsonNode.class, ObjectNode.class)) {
            assertThatExceptionOfType(Json.MalformedMessageException.class)
                    .isThrownBy(() -> Json.read(object, type))
                    .withMessageContaining("out of range");
        }
        assertThatExceptionOfType(Json.MalformedMessageException.class)
                .isThrownBy(() -> Json.read("[" + number + "]", ArrayNode.class));
        assertThatExceptionOfType(JacksonException.class).isThrownBy(() -> Json.MAPPER.readTree(object));
    }

    @ParameterizedTest
    @ValueSource(strings = {"1e2147483647", "1e400", "0e99", "123456789012345678901234567890"})
    void aLargeNumberIsKept(String number) {
        JsonNode read = Json.read("{\"a\":" + number + "}", JsonNode.class);
        assertThat(Json.read(Json.bytes(read), JsonNode.class)).isEqualTo(read);
    }
}
