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
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
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
    /** Of an IPv6 address: a /64. */
    private static final int NETWORK_BYTES = 8;

    /** Several addresses may guess the password of one user: how many times as many failures are allowed as for one address. */
    private static final int ADDRESSES_PER_USER = 5;

    private final RateLimitSettings settings;
    private final IntSupplier coordinators;
    private final Cache<String, Limit> ofCredentials = newCache();
    private final Cache<String, Limit> ofAddresses = newCache();
    private final Cache<String, Bucket> failures = newCache();
    private final PeriodicJob job = new PeriodicJob("rate-limits", SHARE_INTERVAL, this::share);
    private volatile int sharedBy = 1;

    /**
     * A bucket.
     *
     * @param perSecond of all coordinators together
     * @param sharedBy the number of coordinators that it was last set for
     */
    private record Limit(double perSecond, Bucket bucket, AtomicInteger sharedBy) {
        void share(int by) {
            int before = sharedBy.get();
            if (before != by && sharedBy.compareAndSet(before, by)) {
                bucket.replaceConfiguration(
                        BucketConfiguration.builder()
                                .addLimit(bandwidth(perSecond, by))
                                .build(),
                        TokensInheritanceStrategy.PROPORTIONALLY);
            }
        }
    }

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
                bucket(key(caller, address, isAgentCall), perSecond).tryConsumeAndReturnRemaining(1);
        Allowance allowance = new Allowance(perSecond / sharedBy, probe.getRemainingTokens());
        if (!probe.isConsumed()) {
            throw new ThrottledException(
                    "too many requests: the limit is " + text(perSecond) + " per second",
                    Duration.ofNanos(probe.getNanosToWaitForRefill()),
                    allowance);
        }
        return Optional.of(allowance);
    }

    /** Counts a batch of submissions, whose request was counted as one: later requests wait for it. */
    public void charge(Caller caller, int more) {
        double perSecond = perSecond(caller, false);
        if (perSecond > 0 && more > 0) {
            bucket(key(caller, "", false), perSecond).consumeIgnoringRateLimits(more);
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
            return ofAddress(address);
        }
        return isAgentCall ? "agent calls, " + caller.credential() : caller.credential();
    }

    /** The network of an IPv6 address: one host has many addresses in it. */
    private static String ofAddress(String address) {
        if (!address.contains(":")) {
            return "address " + address;
        }
        try {
            byte[] bytes = InetAddress.getByName(address).getAddress();
            return "address " + HexFormat.of().formatHex(bytes, 0, Math.min(bytes.length, NETWORK_BYTES));
        } catch (UnknownHostException e) {
            return "address " + address;
        }
    }

    private Bucket bucket(String key, double perSecond) {
        // Many addresses must not evict the buckets of credentials.
        Cache<String, Limit> limits = key.startsWith("address ") ? ofAddresses : ofCredentials;
        Limit limit = limits.get(key, of -> {
            int sharedBy = this.sharedBy;
            return new Limit(
                    perSecond,
                    new LocalBucketBuilder()
                            .addLimit(bandwidth(perSecond, sharedBy))
                            .build(),
                    new AtomicInteger(sharedBy));
        });
        limit.share(sharedBy);
        return limit.bucket;
    }

    /** A coordinator that has started or ended changes the shares of the others. */
    private void share() {
        sharedBy = Math.max(1, coordinators.getAsInt());
    }

    /** Its capacity is what it gains in a second. */
    private static Bandwidth bandwidth(double perSecond, int sharedBy) {
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
        ConsumptionProbe probe = failuresOf(address).tryConsumeAndReturnRemaining(1);
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
            failuresOf(address).addTokens(1);
            ofUser(user).addTokens(1);
        }
    }

    private Bucket failuresOf(String address) {
        return failuresOf(ofAddress(address), settings.failuresPerMinute());
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

    private static <T> Cache<String, T> newCache() {
        return Caffeine.newBuilder()
                .maximumSize(MAX_BUCKETS)
                .expireAfterAccess(IDLE)
                .build();
    }

    private static ThrottledException tooManyFailures(long nanos) {
        return new ThrottledException("too many failed attempts to authenticate", Duration.ofNanos(nanos));
    }
}
