package io.aitbc.coordinator.assign;

import io.aitbc.coordinator.limit.LimitState;
import java.util.List;
import java.util.Map;

/**
 * What Redis ruled on placements.
 *
 * @param verdicts in the order of the placements
 * @param limits the states of limits that have changed or refused, by name
 * @param toNote budgets of which more has to be noted in Kafka, which the caller alone is to do
 */
public record Judgement(List<Verdict> verdicts, Map<String, LimitState> limits, List<BudgetRequest> toNote) {
    /** Verdicts that no limit has to do with. */
    public static Judgement of(List<Verdict> verdicts) {
        return new Judgement(verdicts, Map.of(), List.of());
    }

    /**
     * A budget of which more has to be noted.
     *
     * @param limit its name
     * @param id of the request
     * @param units that a task needs
     */
    public record BudgetRequest(String limit, String id, long units) {}
}
