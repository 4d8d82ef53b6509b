package io.aitbc.coordinator.event;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.contracts.TaskEvent;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;

class EventOutboxTest {
    private static final Instant NOW = Instant.parse("2026-11-01T12:00:00.123Z");
    private static final String MS = String.valueOf(NOW.toEpochMilli());

    @Test
    void notesAreReadAsTheEventsTheyStandFor() {
        for (TaskEvent event : List.of(
                TaskEvent.cancelled("t.1", 2, "gpu-1", NOW),
                TaskEvent.cancelled("t.1", 2, null, NOW),
                TaskEvent.redriven("t.1", 3, Priority.LOW, NOW),
                TaskEvent.recordLost("t.1", 1, Json.tree("its record is gone: all of it"), NOW))) {
            String more = event.change().agentId() != null
                    ? event.change().agentId()
                    : event.change().priority() != null
                            ? event.change().priority().wireName()
                            : event.change().error() != null
                                    ? Json.text(event.change().error())
                                    : "";
            assertThat(EventOutbox.event(event.id(), MS + " " + more)).isEqualTo(event);
        }
    }

    @Test
    void whatIsNoNoteIsNotReadAsOne() {
        for (String note : List.of("", "when", "1 x", MS + " {")) {
            assertThatThrownBy(() -> EventOutbox.event("t:1:failed", note))
                    .as(note)
                    .isInstanceOf(RuntimeException.class);
        }
        assertThatThrownBy(() -> EventOutbox.event("t:1:completed", MS + " "))
                .hasMessage("unexpected event t:1:completed");
    }
}
