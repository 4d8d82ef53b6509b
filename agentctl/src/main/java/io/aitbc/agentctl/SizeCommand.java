package io.aitbc.agentctl;

import static io.aitbc.agentctl.Table.left;
import static io.aitbc.agentctl.Table.right;

import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Json;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

@Command(
        name = "size",
        description = {
            "Calculates what an installation needs for a load: cores, memory, disks, partitions.",
            "It connects to nothing. docs/scaling.md has the measurements behind it, and their limits."
        },
        sortOptions = false)
final class SizeCommand implements Callable<Integer> {
    private static final long KIB = 1024;
    private static final double PERCENT = 100;
    private static final double MOST_TASKS = 1e9;
    private static final int MOST_AGENTS = 10_000_000;
    private static final int MOST_REPLICAS = 100;
    private static final long MOST_WAITING = 1_000_000_000;

    /** Memory of Redis in which ended tasks are worth a remark. */
    private static final long MUCH_BYTES = 4 * KIB * KIB * KIB;

    /** How long tasks wait at most, unless said otherwise. */
    private static final Duration BACKLOG = Duration.ofMinutes(10);

    private final Agentctl agentctl;

    @Spec
    private CommandSpec spec;

    @Option(
            names = "--tasks-per-second",
            paramLabel = "N",
            required = true,
            description = "Tasks per second, at the peak")
    private double tasksPerSecond;

    @Option(
            names = "--average",
            paramLabel = "N",
            description = "Tasks per second on average, for what is kept; default: as at the peak")
    private @Nullable Double average;

    @Option(names = "--agents", paramLabel = "N", required = true, description = "Number of agents")
    private int agents;

    @Option(
            names = "--delivery",
            paramLabel = "DELIVERY",
            defaultValue = "kafka",
            description = "How agents receive tasks: kafka, pull or push; default: kafka")
    private Delivery delivery = Delivery.KAFKA;

    @Option(
            names = "--task-bytes",
            paramLabel = "N",
            defaultValue = "1000",
            description = "Size of a task; default: 1000")
    private long taskBytes;

    @Option(
            names = "--result-bytes",
            paramLabel = "N",
            defaultValue = "500",
            description = "Size of a result; default: 500")
    private long resultBytes;

    @Option(
            names = "--task-time",
            paramLabel = "DURATION",
            defaultValue = "1s",
            description = "How long an agent works on a task; default: 1s")
    private Duration taskTime = Duration.ZERO;

    @Option(
            names = "--waiting",
            paramLabel = "N",
            description = "Tasks that may wait at the same time; default: those of ten minutes")
    private @Nullable Long waiting;

    @Option(
            names = "--task-retention",
            paramLabel = "DURATION",
            defaultValue = "24h",
            description = "AITBC_SETTLE_TASK_RETENTION; default: 24h")
    private Duration taskRetention = Duration.ZERO;

    @Option(
            names = "--topic-retention",
            paramLabel = "DURATION",
            defaultValue = "7d",
            description = "Retention of topics; default: 7d")
    private Duration topicRetention = Duration.ZERO;

    @Option(names = "--replicas", paramLabel = "N", defaultValue = "3", description = "Replicas of topics; default: 3")
    private int replicas;

    SizeCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    @Override
    public Integer call() {
        double mean = average == null ? tasksPerSecond : average;
        if (!(tasksPerSecond > 0 && tasksPerSecond <= MOST_TASKS && mean > 0 && mean <= tasksPerSecond)) {
            throw wrong("Tasks per second must be above 0 and at most a billion, and their average no higher.");
        }
        if (agents < 1 || agents > MOST_AGENTS || replicas < 1 || replicas > MOST_REPLICAS) {
            throw wrong("There must be 1 to 10000000 agents, and 1 to 100 replicas.");
        }
        if (waiting != null && waiting > MOST_WAITING) {
            throw wrong("At most a billion tasks may wait.");
        }
        if (taskBytes < 0
                || resultBytes < 0
                || waiting != null && waiting < 0
                || taskTime.isNegative()
                || taskRetention.isNegative()
                || topicRetention.isNegative()) {
            throw wrong("Sizes, durations and waiting tasks must not be negative.");
        }
        Sizing.Load load = new Sizing.Load(
                tasksPerSecond,
                mean,
                agents,
                delivery,
                taskBytes,
                resultBytes,
                taskTime,
                waiting == null ? (long) (tasksPerSecond * BACKLOG.toSeconds()) : waiting,
                taskRetention,
                topicRetention,
                replicas);
        Sizing sizing = Sizing.of(load);
        if (Math.max(sizing.redisBytes(), sizing.brokerDiskBytes()) > Long.MAX_VALUE / 2) {
            throw wrong("This load is too large to calculate.");
        }
        agentctl.write(Json.tree(sizing), out -> print(out, load, sizing));
        return 0;
    }

    private ParameterException wrong(String sentence) {
        return new ParameterException(spec.commandLine(), sentence);
    }

    private void print(PrintWriter out, Sizing.Load load, Sizing sizing) {
        if (sizing.installations() > 1) {
            out.println("One Redis would be full: " + sizing.installations()
                    + " installations side by side, each with a part of the agents and tasks. Each needs:");
        }
        Table table = new Table(left("PART"), right("NUMBER"), left("EACH"));
        table.row(
                "coordinators",
                sizing.coordinators(),
                cores(sizing.coordinatorCores()) + ", heap " + bytes(sizing.heapBytes()));
        table.row(
                "Redis",
                1,
                String.format(
                        Locale.ROOT,
                        "a core, %.0f %% of it in use; %s of data, so %s of memory",
                        sizing.redisCores() * PERCENT,
                        bytes(sizing.redisBytes()),
                        bytes(2 * sizing.redisBytes())));
        table.row(
                "brokers",
                sizing.brokers(),
                cores(sizing.brokerCores()) + ", disk " + bytes(sizing.brokerDiskBytes()) + " for "
                        + days(topicRetention) + ", " + bytes((long) sizing.writtenBytesPerSecond()) + "/s written");
        table.row("partitions", sizing.partitions(), "times " + replicas + " replicas");
        table.row(
                "agents",
                (agents + sizing.installations() - 1) / sizing.installations(),
                String.format(
                        Locale.ROOT,
                        "capacity %.0f: %.0f tasks run at once",
                        Math.max(1, Math.ceil(sizing.runningTasks() * sizing.installations() / agents)),
                        sizing.runningTasks()));
        table.print(out);
        if (sizing.endedBytes() > MUCH_BYTES) {
            out.println("Redis keeps ended tasks for " + days(load.taskRetention()) + ", which takes "
                    + bytes(sizing.endedBytes())
                    + ". With a history, AITBC_SETTLE_TASK_RETENTION need only be as long as producers keep retrying:"
                    + " after it, a task that is submitted again under the same id runs again.");
        }
    }

    private static String days(Duration duration) {
        long days = duration.toDays();
        if (days == 0 || !duration.equals(Duration.ofDays(days))) {
            return Ages.of(duration);
        }
        return days == 1 ? "1 day" : days + " days";
    }

    private static String cores(int number) {
        return number == 1 ? "1 core" : number + " cores";
    }

    /** Such as 1.4 GiB. */
    private static String bytes(long number) {
        double left = number;
        String[] units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
        int unit = 0;
        while (left >= KIB && unit < units.length - 1) {
            left /= KIB;
            unit++;
        }
        return String.format(Locale.ROOT, left < 10 ? "%.1f %s" : "%.0f %s", left, units[unit]);
    }
}
