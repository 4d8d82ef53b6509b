package io.aitbc.coordinator;

import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import io.aitbc.coordinator.kafka.TopicCatalog;
import io.aitbc.coordinator.redis.Redis;
import java.time.Duration;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.core.NestedExceptionUtils;
import org.springframework.stereotype.Component;

/**
 * Looks for settings of Kafka and Redis with which acknowledged tasks can be lost: at startup, and periodically, because settings are
 * changed at run time, and a failover may lead to a Redis that has others.
 */
@Component
public final class SettingsCheck implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(SettingsCheck.class);
    private static final Duration INTERVAL = Duration.ofSeconds(30);

    private final TopicCatalog catalog;
    private final Redis redis;
    private final boolean strict;
    private final PeriodicJob job = new PeriodicJob("settings-check", INTERVAL, this::check);
    private volatile Findings findings = new Findings(List.of(), List.of());

    /**
     * Settings with which acknowledged tasks can be lost, as of the last check; one sentence each.
     *
     * @param kafka with which Kafka loses records
     * @param redis with which Redis loses or forgets what it has acknowledged
     */
    public record Findings(List<String> kafka, List<String> redis) {
        List<String> all() {
            return Stream.concat(kafka.stream(), redis.stream()).toList();
        }
    }

    SettingsCheck(TopicCatalog catalog, Redis redis, @Value("${aitbc.strict}") boolean strict) {
        this.catalog = catalog;
        this.redis = redis;
        this.strict = strict;
    }

    /**
     * The first check. If it fails, as where it is not permitted, that is a finding.
     *
     * @throws IllegalStateException if there are findings, and settings are strict
     */
    void checkAtStartup() throws InterruptedException {
        Findings found = new Findings(
                find(catalog::durabilityProblems, failure -> unchecked("Kafka's topics", failure)),
                find(redis::durabilityProblems, failure -> unchecked("Redis", failure)));
        update(found);
        if (strict && !found.all().isEmpty()) {
            throw new IllegalStateException(String.join(" ", found.all()));
        }
    }

    /** What cannot be checked is as it was: Kafka or Redis may be away, which is reported elsewhere. */
    private void check() throws InterruptedException {
        Findings last = findings;
        update(new Findings(
                find(catalog::durabilityProblems, failure -> last.kafka()),
                find(redis::durabilityProblems, failure -> last.redis())));
    }

    private void update(Findings found) {
        List<String> known = findings.all();
        findings = found;
        found.all().stream()
                .filter(problem -> !known.contains(problem))
                .forEach(problem -> log.warn("Unsafe setting: {}", problem));
        if (!known.isEmpty() && found.all().isEmpty()) {
            log.info("The settings of Kafka and Redis are safe");
        }
    }

    private static List<String> find(Check check, Function<RuntimeException, List<String>> otherwise)
            throws InterruptedException {
        try {
            return check.run();
        } catch (RuntimeException e) {
            log.debug("Settings were not checked", e);
            return otherwise.apply(e);
        }
    }

    private static List<String> unchecked(String of, RuntimeException failure) {
        return List.of("The settings of " + of + " were not checked: "
                + NestedExceptionUtils.getMostSpecificCause(failure).getMessage() + ".");
    }

    private interface Check {
        List<String> run() throws InterruptedException;
    }

    public Findings findings() {
        return findings;
    }

    @Override
    public void start() {
        job.start();
    }

    @Override
    public void close() {
        job.close();
    }

    @Override
    public List<Problem> problems() {
        return job.problems();
    }
}
