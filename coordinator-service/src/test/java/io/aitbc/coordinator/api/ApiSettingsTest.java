package io.aitbc.coordinator.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ApiSettingsTest {
    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "https://jaeger.example.com/search?tags=%7B%22task_id%22%3A%22{task_id}%22%7D",
                "http://tempo:3200/task/{task_id}"
            })
    void addressesOfTracesAreTaken(String url) {
        assertThat(new ApiSettings(1_000, url).traceUrl()).isEqualTo(url);
    }

    /** The dashboard makes links of them. */
    @ParameterizedTest
    @ValueSource(strings = {"javascript:alert(1)//{task_id}", "https://jaeger.example.com/", "jaeger/{task_id}"})
    void othersAreRefused(String url) {
        assertThatThrownBy(() -> new ApiSettings(1_000, url))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("aitbc.api.trace-url must begin with http:// or https://");
    }
}
