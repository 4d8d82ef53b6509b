package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;

/**
 * The body of {@code POST /agents/{agent_id}/assignments/claim}: a request for assignments, which stays open until there are some.
 *
 * @param max maximum number of assignments, 1 to 1,000; 1 when absent. While the claim is open, that many may be reserved for it
 * @param waitSeconds how long it stays open, 0 to 60 s; 30 when absent
 * @param instanceId the process that claims; needed if several share an agent id. A claim ends the open one of the same instance
 * @param received ids of assignments from earlier answers. An assignment that is not confirmed here, by progress or by a result is
 *     redelivered
 */
public record Claim(
        @JsonProperty("max") Integer max,
        @JsonProperty("wait_seconds") Integer waitSeconds,
        @JsonProperty("instance_id") String instanceId,
        @JsonProperty("received") List<String> received) {

    public static final int MAX_WAIT_SECONDS = 60;

    public Claim {
        max = Checks.range("max", max == null ? 1 : max, 1, 1_000);
        waitSeconds = Checks.range("wait_seconds", waitSeconds == null ? 30 : waitSeconds, 0, MAX_WAIT_SECONDS);
        instanceId = Ids.check("instance_id", instanceId == null ? "default" : instanceId);
        received = Checks.texts("received", received);
    }
}
