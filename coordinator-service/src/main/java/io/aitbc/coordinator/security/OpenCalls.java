package io.aitbc.coordinator.security;

import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.background.Problem;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Ends calls that stay open, such as streams and long polls, when their caller's credential is revoked or expires. Thread-safe. */
public final class OpenCalls implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(OpenCalls.class);
    private static final Duration INTERVAL = Duration.ofSeconds(1);

    /** Enough that many clients that do not read do not delay the end of others. */
    private static final int THREADS = 64;

    private final ApiKeys keys;
    private final ThreadPoolExecutor enders =
            new ThreadPoolExecutor(THREADS, THREADS, 10, TimeUnit.SECONDS, new LinkedBlockingQueue<>());
    private final Set<Call> open = ConcurrentHashMap.newKeySet();
    private final PeriodicJob job = new PeriodicJob("open-calls", INTERVAL, this::check);

    /** Equal to itself only. */
    private static final class Call {
        private final Caller caller;
        private final Runnable end;

        Call(Caller caller, Runnable end) {
            this.caller = caller;
            this.end = end;
        }
    }

    OpenCalls(ApiKeys keys) {
        this.keys = keys;
        enders.allowCoreThreadTimeOut(true);
    }

    @Override
    public void start() {
        job.start();
    }

    @Override
    public void close() {
        job.close();
        enders.shutdownNow();
    }

    @Override
    public List<Problem> problems() {
        return job.problems();
    }

    /**
     * Watches an open call.
     *
     * @param end ends it; may block
     * @return to be run when it has ended
     */
    public Runnable watch(Caller caller, Runnable end) {
        if (caller.keyId() == null && caller.expiresAt() == null) {
            return () -> {};
        }
        Call call = new Call(caller, end);
        open.add(call);
        return () -> open.remove(call);
    }

    private void check() {
        open.removeIf(call -> {
            boolean isOver = !keys.isValid(call.caller);
            if (isOver) {
                enders.execute(() -> end(call));
            }
            return isOver;
        });
    }

    private static void end(Call call) {
        try {
            call.end.run();
        } catch (RuntimeException e) {
            log.debug("Call already ended: {}", e.toString());
        }
    }
}
