package io.aitbc.coordinator.security;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.aitbc.coordinator.background.PeriodicJob;
import io.github.bucket4j.Bandwidth;
import io.github.bucket4j.Bucket;
import io.github.bucket4j.BucketConfiguration;
import io.github.bucket4j.ConsumptionProbe;
import io.github.bucket4j.TokensInheritanceStrategy;
import io.github.bucket4j.local.LocalBucketBuilder;
import java.time.Duration;
import java.util.Optional;
import java.util.function.IntSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Limits the rate of requests per credential, and per address without one. Each coordinator has a token bucket with its share of the
 * cluster's limit: an even one, so that a request costs no call to Redis. Failed sign-ins are limited too, which slows guessing. Thread-safe.
 */
public final class RateLimits implements AutoCloseable {
    private static final Duration SHARE_INTERVAL = Duration.ofSeconds(2);
    private static final Duration SECOND = Duration.ofSeconds(1);
    /** After that, a bucket is full again. */
    private static final Duration IDLE = Duration.ofMinutes(20);

    /** Names and addresses are chosen by the callers, and of bounded length. */
    private static final int MAX_BUCKETS = 20_000;

    /** Several addresses may guess the password of one user: how many times as many failures are allowed as for one address. */
    private static final int ADDRESSES_PER_USER = 5;

    private final RateLimitSettings settings;
    private final IntSupplier coordinators;
    private final Cache<String, Limit> limits = Caffeine.newBuilder()
            .maximumSize(MAX_BUCKETS)
            .expireAfterAccess(IDLE)
            .build();
    private final Cache<String, Bucket> failures = Caffeine.newBuilder()
            .maximumSize(MAX_BUCKETS)
            .expireAfterAccess(IDLE)
            .build();
    private final PeriodicJob job = new PeriodicJob("rate-limits", SHARE_INTERVAL, this::share);
    private volatile int sharedBy = 1;

    /** @param perSecond of all coordinators together */
    private record Limit(double perSecond, Bucket bucket) {}

    /**
     * What is left to a caller.
     *
     * @param perSecond of this coordinator
     */
    record Allowance(double perSecond, long remaining) {}

    /** @param coordinators how many of them are running */
    public RateLimits(RateLimitSettings settings, IntSupplier coordinators) {
        this.settings = settings;
        this.coordinators = coordinators;
        job.start();
    }

    @Override
    public void close() {
        job.close();
    }

    /**
     * Takes a request into account.
     *
     * @param caller null without a credential
     * @param isAgentCall whether it is one that agents make all the time
     * @return empty if it is not limited
     * @throws ThrottledException if it is over the limit
     */
    Optional<Allowance> require(@Nullable Caller caller, String address, boolean isAgentCall) {
        double perSecond = perSecond(caller, isAgentCall);
        if (perSecond == 0) {
            return Optional.empty();
        }
        ConsumptionProbe probe =
                limit(key(caller, address, isAgentCall), perSecond).bucket.tryConsumeAndReturnRemaining(1);
        if (!probe.isConsumed()) {
            throw new ThrottledException(
                    "too many requests: the limit is " + text(perSecond) + " per second",
                    Duration.ofNanos(probe.getNanosToWaitForRefill()));
        }
        return Optional.of(new Allowance(perSecond / sharedBy, probe.getRemainingTokens()));
    }

    /** Counts a batch of submissions, whose request was counted as one: later requests wait for it. */
    public void charge(Caller caller, int more) {
        double perSecond = perSecond(caller, false);
        if (perSecond > 0 && more > 0) {
            limit(key(caller, "", false), perSecond).bucket.consumeIgnoringRateLimits(more);
        }
    }

    private double perSecond(@Nullable Caller caller, boolean isAgentCall) {
        if (caller == null) {
            return settings.anonymous();
        }
        return isAgentCall ? settings.agentCalls() : settings.of(caller.role());
    }

    private static String key(@Nullable Caller caller, String address, boolean isAgentCall) {
        if (caller == null) {
            return "address " + address;
        }
        return isAgentCall ? "agent calls, " + caller.credential() : caller.credential();
    }

    private Limit limit(String key, double perSecond) {
        return limits.get(
                key,
                of -> new Limit(
                        perSecond,
                        new LocalBucketBuilder().addLimit(bandwidth(perSecond)).build()));
    }

    /** A coordinator that has started or ended changes the shares of the others. */
    private void share() {
        int now = Math.max(1, coordinators.getAsInt());
        if (now != sharedBy) {
            sharedBy = now;
            limits.asMap()
                    .values()
                    .forEach(limit -> limit.bucket.replaceConfiguration(
                            BucketConfiguration.builder()
                                    .addLimit(bandwidth(limit.perSecond))
                                    .build(),
                            TokensInheritanceStrategy.PROPORTIONALLY));
        }
    }

    /** Holds what a second brings. */
    private Bandwidth bandwidth(double perSecond) {
        double own = perSecond / sharedBy;
        return Bandwidth.builder()
                .capacity(Math.max(1, Math.round(own)))
                .refillGreedy(1, Duration.ofNanos((long) (SECOND.toNanos() / own)))
                .build();
    }

    /** Whole numbers without a fraction. */
    private static String text(double perSecond) {
        return perSecond == Math.rint(perSecond) ? String.valueOf((long) perSecond) : String.valueOf(perSecond);
    }

    /**
     * Counts a request with an invalid credential.
     *
     * @throws ThrottledException if the address has sent too many of them
     */
    public void failed(String address) {
        if (settings.failuresPerMinute() == 0) {
            return;
        }
        ConsumptionProbe probe = ofAddress(address).tryConsumeAndReturnRemaining(1);
        if (!probe.isConsumed()) {
            throw tooManyFailures(probe.getNanosToWaitForRefill());
        }
    }

    /**
     * Counts an attempt to sign in with a password, before that is compared, which costs much. See {@link #succeeded}.
     *
     * @throws ThrottledException if there were too many from this address, or with this name
     */
    void attempted(String address, String user) {
        if (settings.failuresPerMinute() == 0) {
            return;
        }
        failed(address);
        ConsumptionProbe probe = ofUser(user).tryConsumeAndReturnRemaining(1);
        if (!probe.isConsumed()) {
            throw tooManyFailures(probe.getNanosToWaitForRefill());
        }
    }

    /** The attempt was no failure. */
    void succeeded(String address, String user) {
        if (settings.failuresPerMinute() > 0) {
            ofAddress(address).addTokens(1);
            ofUser(user).addTokens(1);
        }
    }

    private Bucket ofAddress(String address) {
        return failuresOf("address " + address, settings.failuresPerMinute());
    }

    private Bucket ofUser(String user) {
        return failuresOf("user " + user, ADDRESSES_PER_USER * settings.failuresPerMinute());
    }

    private Bucket failuresOf(String key, int perMinute) {
        return failures.get(
                key,
                of -> Bucket.builder()
                        .addLimit(limit -> limit.capacity(perMinute).refillGreedy(perMinute, Duration.ofMinutes(1)))
                        .build());
    }

    private static ThrottledException tooManyFailures(long nanos) {
        return new ThrottledException("too many failed attempts to authenticate", Duration.ofNanos(nanos));
    }
}
