package io.aitbc.contracts;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Amounts of named resources, such as {@code {"gpu": 0.5, "memory_gb": 16}}; up to 16 names. An amount is from 0.001 to 1,000,000,000 and
 * has at most three decimals, so that sums are exact.
 *
 * @param thousandths amounts in thousandths, by name
 */
public record Resources(Map<String, Long> thousandths) {
    public static final Resources NONE = new Resources(Map.of());

    private static final int SCALE = 3;
    private static final BigDecimal MAX = BigDecimal.valueOf(1_000_000_000);

    public Resources {
        thousandths = Checks.copy(thousandths);
    }

    /** @throws IllegalArgumentException with a sentence, if a name or an amount is not allowed */
    @JsonCreator
    public static Resources of(Map<String, BigDecimal> amounts) {
        Map<String, Long> thousandths = new LinkedHashMap<>();
        Checks.named("resources", amounts)
                .forEach((name, amount) -> thousandths.put(name, thousandths("resources." + name, amount)));
        return new Resources(thousandths);
    }

    private static long thousandths(String field, BigDecimal amount) {
        Checks.required(field, amount);
        // Before it is scaled: 1e999999999 would take all memory.
        if (amount.signum() <= 0
                || amount.compareTo(MAX) > 0
                || amount.stripTrailingZeros().scale() > SCALE) {
            throw new IllegalArgumentException(
                    field + " must be from 0.001 to 1000000000, with at most three decimals");
        }
        return amount.setScale(SCALE, RoundingMode.UNNECESSARY).unscaledValue().longValueExact();
    }

    public boolean isEmpty() {
        return thousandths.isEmpty();
    }

    /** Whether each amount of another one is at most the amount here. */
    public boolean cover(Resources others) {
        for (Map.Entry<String, Long> other : others.thousandths.entrySet()) {
            if (thousandths.getOrDefault(other.getKey(), 0L) < other.getValue()) {
                return false;
            }
        }
        return true;
    }

    /** Whether both name a resource. */
    public boolean overlap(Resources others) {
        return !Collections.disjoint(thousandths.keySet(), others.thousandths.keySet());
    }

    /** An amount without trailing zeros, such as {@code 0.5}. */
    public static BigDecimal amount(long thousandths) {
        BigDecimal plain = BigDecimal.valueOf(thousandths, SCALE).stripTrailingZeros();
        // 2000, not 2E+3.
        return plain.scale() < 0 ? plain.setScale(0) : plain;
    }

    /** Amounts by name, without trailing zeros. */
    @JsonValue
    public Map<String, BigDecimal> amounts() {
        Map<String, BigDecimal> amounts = new LinkedHashMap<>();
        thousandths.forEach((name, amount) -> amounts.put(name, amount(amount)));
        return amounts;
    }
}
