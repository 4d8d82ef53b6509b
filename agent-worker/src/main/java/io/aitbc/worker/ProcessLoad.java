package io.aitbc.worker;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.Map;

/** How much this process uses of the processor and of the memory that it may have. */
final class ProcessLoad {
    private final OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    /** {@code cpu_usage} of all processors and {@code memory_usage} of the heap's limit, 0.0 to 1.0, and what else is asked. */
    Map<String, Double> metrics(int active, int capacity) {
        Runtime runtime = Runtime.getRuntime();
        double used = runtime.totalMemory() - runtime.freeMemory();
        return Map.of(
                "cpu_usage",
                Math.max(0, system.getProcessCpuLoad()),
                "memory_usage",
                used / runtime.maxMemory(),
                "active_tasks",
                (double) active,
                "capacity_usage",
                (double) active / capacity);
    }
}
