package io.aitbc.worker.handlers;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.worker.AssignmentContext;
import io.aitbc.worker.Handler;
import java.util.concurrent.TimeUnit;
import tools.jackson.databind.JsonNode;

/** Waits for {@code task_data.seconds}, 0 to 86,400, and reports progress every ten seconds. */
public final class Sleep implements Handler {
    private static final long REPORT_EVERY_MS = 10_000;

    @Override
    public JsonNode handle(Assignment assignment, AssignmentContext context) throws InterruptedException {
        JsonNode seconds = assignment.taskData().path("seconds");
        if (!seconds.isNumber() || !(seconds.asDouble() >= 0 && seconds.asDouble() <= 86_400)) {
            throw new IllegalArgumentException("task_data.seconds must be a number from 0 to 86400");
        }
        long end = System.nanoTime() + (long) (seconds.asDouble() * 1e9);
        for (long left = end - System.nanoTime(); left > 0; left = end - System.nanoTime()) {
            TimeUnit.NANOSECONDS.sleep(Math.min(left, TimeUnit.MILLISECONDS.toNanos(REPORT_EVERY_MS)));
            if (end - System.nanoTime() > 0) {
                context.progress(Json.object().put("seconds_left", (end - System.nanoTime()) / 1e9));
            }
        }
        return Json.object().put("slept_seconds", seconds.asDouble());
    }
}
