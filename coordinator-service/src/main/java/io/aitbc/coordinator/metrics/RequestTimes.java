package io.aitbc.coordinator.metrics;

import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.distribution.HistogramSnapshot;
import io.micrometer.core.instrument.distribution.ValueAtPercentile;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import org.springframework.http.server.observation.ServerRequestObservationContext;
import org.springframework.stereotype.Component;

/** Response times of REST, with percentiles of the last minutes. A request that waits counts with its wait. Thread-safe. */
@Component
final class RequestTimes implements ObservationHandler<ServerRequestObservationContext> {
    private static final double[] PERCENTILES = {0.95, 0.99};
    private static final int FIRST_ERROR = 400;

    private final Timer timer =
            Timer.builder("requests").publishPercentiles(PERCENTILES).register(new SimpleMeterRegistry());
    private final LongAdder errors = new LongAdder();

    /** When a request began, in its context. */
    private record Begun(long nanos) {}

    @Override
    public boolean supportsContext(Observation.Context context) {
        return context instanceof ServerRequestObservationContext;
    }

    @Override
    public void onStart(ServerRequestObservationContext context) {
        context.put(Begun.class, new Begun(System.nanoTime()));
    }

    @Override
    public void onStop(ServerRequestObservationContext context) {
        Begun begun = context.get(Begun.class);
        if (begun != null) {
            timer.record(System.nanoTime() - begun.nanos, TimeUnit.NANOSECONDS);
        }
        if (context.getResponse() != null && context.getResponse().getStatus() >= FIRST_ERROR) {
            errors.increment();
        }
    }

    long total() {
        return timer.count();
    }

    long errors() {
        return errors.sum();
    }

    double meanSeconds() {
        return timer.mean(TimeUnit.SECONDS);
    }

    /** @param percentile 0.95 or 0.99 */
    double seconds(double percentile) {
        HistogramSnapshot snapshot = timer.takeSnapshot();
        for (ValueAtPercentile value : snapshot.percentileValues()) {
            if (value.percentile() == percentile) {
                return value.value(TimeUnit.SECONDS);
            }
        }
        throw new IllegalArgumentException("no percentile " + percentile);
    }
}
