package io.aitbc.worker;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.Map;

/** CPU and heap usage of this process. */
final class ProcessLoad {
    private final OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private long measuredAt = System.nanoTime();
    private long cpuTime = system.getProcessCpuTime();

    /**
     * Returns {@code cpu_usage} as a fraction of all processors since the last call, {@code memory_usage} as a fraction of the heap limit,
     * both 0.0 to 1.0, and the load in tasks.
     */
    synchronized Map<String, Double> metrics(int active, int capacity) {
        Runtime runtime = Runtime.getRuntime();
        double used = runtime.totalMemory() - runtime.freeMemory();
        return Map.of(
                "cpu_usage",
                cpuUsage(),
                "memory_usage",
                used / runtime.maxMemory(),
                "active_tasks",
                (double) active,
                "capacity_usage",
                (double) active / capacity);
    }

    private double cpuUsage() {
        long now = System.nanoTime();
        long usedUntilNow = system.getProcessCpuTime();
        double share =
                (double) (usedUntilNow - cpuTime) / Math.max(1, now - measuredAt) / system.getAvailableProcessors();
        measuredAt = now;
        cpuTime = usedUntilNow;
        return Math.min(1, Math.max(0, share));
    }
}
