package io.aitbc.coordinator.dispatch;

import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.coordinator.match.Aging;
import io.aitbc.coordinator.match.BacklogEntry;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * Settings for dispatching.
 *
 * @param agingInterval a task is aged once it has waited this long for each level above its own; 0: strict priority
 * @param agedShare share of choices given to aged tasks where they compete with more urgent ones
 * @param strategy until another is set over REST
 * @param maxIndexed maximum number of waiting tasks known to a coordinator; further ones stay unread in Kafka; 0: as many as fit into a third of
 *     the heap
 * @param payloadMemory heap bytes for the payloads of those whose turn is near; 0: an eighth of the heap
 * @param batch maximum number of tasks reserved per call; with more agents than a quarter of it, four tasks per agent, up to four times as
 *     many
 * @param maxTaskBytes a larger task on Kafka is dead-lettered
 */
@Validated
@ConfigurationProperties("aitbc.dispatch")
public record DispatchSettings(
        Duration agingInterval,
        double agedShare,
        LoadBalancingStrategy strategy,
        @Min(0) int maxIndexed,
        @Min(0) long payloadMemory,
        @Min(1) @Max(10_000) int batch,

        @Min(1_000) @Max(10_000_000) int maxTaskBytes) {

    /** Divides the heap; the quotient is for entries of waiting tasks. Everything else needs about 100 MiB. */
    private static final long INDEX_HEAP_DIVISOR = 3;
    /** Divides the heap; the quotient is for payloads of waiting tasks. */
    private static final long PAYLOAD_HEAP_DIVISOR = 8;

    public DispatchSettings {
        new Aging(agingInterval, agedShare);
    }

    /** The maximum number of waiting tasks in memory. */
    int maxWaiting() {
        return maxIndexed > 0
                ? maxIndexed
                : (int) Math.min(
                        Integer.MAX_VALUE, Runtime.getRuntime().maxMemory() / INDEX_HEAP_DIVISOR / BacklogEntry.HEAP);
    }

    /** Heap bytes for payloads. */
    long payloadHeap() {
        return payloadMemory > 0 ? payloadMemory : Runtime.getRuntime().maxMemory() / PAYLOAD_HEAP_DIVISOR;
    }

    public Aging aging() {
        return new Aging(agingInterval, agedShare);
    }
}
