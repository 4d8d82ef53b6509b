package io.aitbc.coordinator.live;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.background.Recurring;
import java.time.Clock;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.apache.kafka.common.utils.Utils;
import org.springframework.context.SmartLifecycle;
import org.springframework.core.NestedExceptionUtils;
import org.springframework.stereotype.Component;
import tools.jackson.databind.JsonNode;

/** The topics of live updates, and their subscribers. */
@Component
final class LiveTopics implements SmartLifecycle {
    static final String TASK = "tasks/";
    static final int MOST_TASKS_PER_CLIENT = 100;
    private static final int MOST_TASKS = 5_000;

    private static final Duration LOOK_AT_CLUSTER_EVERY = Duration.ofSeconds(1);
    private static final Duration LOOK_AT_AGENTS_EVERY = Duration.ofSeconds(2);
    private static final Duration LOOK_AT_TASKS_EVERY = Duration.ofMillis(500);
    /** Interval of keep-alive messages, by which both sides detect a lost connection. */
    private static final Duration SIGN_OF_LIFE_EVERY = Duration.ofSeconds(10);

    private final ClusterNow cluster;
    private final AgentsNow agents;
    private final TasksNow tasks;
    private final Clock clock;
    private final Channel queues = new Channel("queues");
    private final Channel stats = new Channel("stats");
    private final Channel history = new Channel("history");
    private final Channel agentList = new Channel("agents");
    private final Map<String, Channel> fixed =
            Map.of("queues", queues, "stats", stats, "history", history, "agents", agentList);
    /** Channels of tasks that have subscribers, by task id. */
    private final Map<String, Channel> taskChannels = new ConcurrentHashMap<>();

    private final Set<Subscriber> subscribers = ConcurrentHashMap.newKeySet();
    private final List<Recurring> looking;
    private volatile boolean running;

    LiveTopics(ClusterNow cluster, AgentsNow agents, TasksNow tasks, Clock clock) {
        this.cluster = cluster;
        this.agents = agents;
        this.tasks = tasks;
        this.clock = clock;
        this.looking = List.of(
                new Recurring("live-cluster", LOOK_AT_CLUSTER_EVERY, this::lookAtCluster, () -> {}),
                new Recurring("live-agents", LOOK_AT_AGENTS_EVERY, this::lookAtAgents, () -> {}),
                new Recurring("live-tasks", LOOK_AT_TASKS_EVERY, this::lookAtTasks, () -> {}),
                new Recurring("live-signs", SIGN_OF_LIFE_EVERY, this::giveSignOfLife, () -> {}));
    }

    @Override
    public void start() {
        running = true;
        looking.forEach(Recurring::start);
    }

    /** Stops before the web server, which waits for connections to end. */
    @Override
    public void stop() {
        running = false;
        subscribers.forEach(subscriber -> Utils.closeQuietly(subscriber::end, "subscriber"));
        // In parallel: each may be waiting for Kafka.
        looking.parallelStream().forEach(Recurring::close);
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    /** @throws IllegalStateException if this coordinator is shutting down */
    void join(Subscriber subscriber) {
        if (!running) {
            throw new IllegalStateException("this coordinator is shutting down: connect to another");
        }
        subscribers.add(subscriber);
    }

    synchronized void leave(Subscriber subscriber) {
        subscribers.remove(subscriber);
        subscriber.close();
        removeUnheardTasks();
    }

    /**
     * Subscribes a client to a topic, and sends the latest data at once.
     *
     * @throws IllegalArgumentException if there is no such topic, or a limit is exceeded
     */
    void subscribe(Subscriber subscriber, String topic) {
        subscriber.want(channel(subscriber, topic));
        subscriber.pump();
    }

    synchronized void unsubscribe(Subscriber subscriber, String topic) {
        Channel channel = fixed.get(topic);
        if (channel == null && topic.startsWith(TASK)) {
            channel = taskChannels.get(topic.substring(TASK.length()));
        }
        if (channel != null) {
            subscriber.noLongerWant(channel);
            removeUnheardTasks();
        }
    }

    private synchronized Channel channel(Subscriber subscriber, String topic) {
        Channel known = fixed.get(topic);
        if (known != null) {
            return known;
        }
        String taskId = topic.startsWith(TASK) ? topic.substring(TASK.length()) : "";
        if (taskId.isEmpty() || taskId.length() > 200) {
            throw new IllegalArgumentException(
                    "unknown topic " + topic + ": the topics are queues, agents, stats, history and tasks/{task_id}");
        }
        Set<Channel> wanted = new HashSet<>(subscriber.wanted());
        wanted.removeAll(fixed.values());
        if (wanted.size() >= MOST_TASKS_PER_CLIENT && !wanted.contains(taskChannels.get(taskId))) {
            throw new IllegalArgumentException(
                    "at most " + MOST_TASKS_PER_CLIENT + " tasks can be subscribed to at once");
        }
        if (taskChannels.size() >= MOST_TASKS && !taskChannels.containsKey(taskId)) {
            throw new IllegalArgumentException(
                    "clients of this coordinator already subscribe to " + MOST_TASKS + " tasks: try again later");
        }
        Channel channel = taskChannels.computeIfAbsent(taskId, id -> new Channel(TASK + id));
        // Subscribe inside the lock: a channel without subscribers is removed.
        subscriber.want(channel);
        return channel;
    }

    private void removeUnheardTasks() {
        taskChannels.values().retainAll(wanted());
    }

    private Set<Channel> wanted() {
        return subscribers.stream()
                .flatMap(subscriber -> subscriber.wanted().stream())
                .collect(Collectors.toSet());
    }

    private void lookAtCluster() throws Exception {
        List<Channel> all = List.of(queues, stats, history);
        boolean watched = all.stream().anyMatch(wanted()::contains);
        if (!cluster.isStarted()) {
            all.forEach(
                    channel -> channel.unavailable("this coordinator is waiting for Kafka and Redis", clock.instant()));
            subscribers.forEach(Subscriber::pump);
            return;
        }
        look(all, () -> {
            if (cluster.look(watched)) {
                queues.publish(cluster.queues(), clock.instant());
                stats.publish(cluster.stats(), clock.instant());
                JsonNode news = cluster.newInHistory();
                if (news != null || history.isForgotten()) {
                    history.publish(cluster.history(), news, clock.instant());
                }
            }
        });
    }

    private void lookAtAgents() throws Exception {
        if (wanted().contains(agentList)) {
            look(List.of(agentList), () -> agents.look(agentList));
        } else {
            agents.forget();
            agentList.forget();
        }
    }

    private void lookAtTasks() throws Exception {
        Map<String, Channel> listened = Map.copyOf(taskChannels);
        if (!listened.isEmpty()) {
            look(listened.values(), () -> {
                tasks.look(listened.keySet())
                        .forEach((id, task) -> listened.get(id).publish(task, clock.instant()));
            });
        }
    }

    private void giveSignOfLife() {
        String sign = Json.object()
                .put("v", Channel.VERSION)
                .put("kind", "alive")
                .put("at", clock.instant().toString())
                .toString();
        subscribers.forEach(subscriber -> subscriber.mention(sign));
    }

    private void look(Iterable<Channel> channels, Recurring.Action action) throws Exception {
        try {
            action.run();
        } catch (RuntimeException e) {
            String why =
                    String.valueOf(NestedExceptionUtils.getMostSpecificCause(e).getMessage());
            channels.forEach(channel -> channel.unavailable(why, clock.instant()));
            throw e;
        } finally {
            subscribers.forEach(Subscriber::pump);
        }
    }
}
