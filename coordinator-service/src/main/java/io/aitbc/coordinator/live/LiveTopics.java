package io.aitbc.coordinator.live;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.background.PeriodicJob;
import io.aitbc.coordinator.security.Caller;
import io.aitbc.coordinator.stats.ClusterFeed;
import io.aitbc.coordinator.stats.TaskJson;
import java.time.Clock;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.apache.kafka.common.utils.Utils;
import org.jspecify.annotations.Nullable;
import org.springframework.context.SmartLifecycle;
import org.springframework.core.NestedExceptionUtils;
import org.springframework.stereotype.Component;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The topics of live updates, and their subscribers. */
@Component
final class LiveTopics implements SmartLifecycle {
    static final String TASK = "tasks/";
    static final int MAX_TASKS_PER_CLIENT = 100;
    private static final int MAX_TASKS = 5_000;

    private static final Duration CLUSTER_INTERVAL = Duration.ofSeconds(1);
    private static final Duration AGENTS_INTERVAL = Duration.ofSeconds(2);
    private static final Duration TASKS_INTERVAL = Duration.ofMillis(500);
    /** Interval of keep-alive messages, by which both sides detect a lost connection. */
    private static final Duration KEEPALIVE_INTERVAL = Duration.ofSeconds(10);

    private final ClusterFeed cluster;
    private final AgentFeed agents;
    private final TaskFeed tasks;
    private final Clock clock;
    private final Channel queues = new Channel("queues");
    private final Channel stats = new Channel("stats");
    private final Channel history = new Channel("history");
    private final Channel agentList = new Channel("agents");
    private final Map<String, Channel> fixed =
            Map.of("queues", queues, "stats", stats, "history", history, "agents", agentList);
    /** Channels of tasks that have subscribers. */
    private final Map<TaskView, Channel> taskChannels = new ConcurrentHashMap<>();

    private final Set<Subscriber> subscribers = ConcurrentHashMap.newKeySet();
    private final List<PeriodicJob> pollers;
    private volatile boolean running;

    /**
     * A task as some subscribers see it.
     *
     * @param scope unknown to them if the task has another fairness key; null for those who see all tasks
     */
    private record TaskView(String taskId, @Nullable String scope) {
        static TaskView of(Subscriber subscriber, String topic) {
            return new TaskView(
                    topic.substring(TASK.length()), subscriber.caller().fairnessKey());
        }

        JsonNode show(JsonNode task) {
            if (scope == null) {
                return task;
            }
            return scope.equals(task.path("fairness_key").asString(null))
                    ? ((ObjectNode) task.deepCopy()).without(TaskJson.AGENT_ID)
                    : TaskFeed.withStatus(taskId, "unknown");
        }
    }

    LiveTopics(ClusterFeed cluster, AgentFeed agents, TaskFeed tasks, Clock clock) {
        this.cluster = cluster;
        this.agents = agents;
        this.tasks = tasks;
        this.clock = clock;
        this.pollers = List.of(
                new PeriodicJob("live-cluster", CLUSTER_INTERVAL, this::pollCluster),
                new PeriodicJob("live-agents", AGENTS_INTERVAL, this::pollAgents),
                new PeriodicJob("live-tasks", TASKS_INTERVAL, this::pollTasks),
                new PeriodicJob("live-keepalive", KEEPALIVE_INTERVAL, this::sendKeepalive));
    }

    @Override
    public void start() {
        running = true;
        pollers.forEach(PeriodicJob::start);
    }

    /** Stops before the web server, which waits for connections to end. */
    @Override
    public void stop() {
        running = false;
        subscribers.forEach(subscriber -> Utils.closeQuietly(subscriber::end, "subscriber"));
        // In parallel: each may be waiting for Kafka.
        pollers.parallelStream().forEach(PeriodicJob::close);
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
        removeUnsubscribedTasks();
    }

    /**
     * Subscribes a client to a topic, and sends the latest data at once.
     *
     * @throws IllegalArgumentException if there is no such topic, or a limit is exceeded
     */
    void subscribe(Subscriber subscriber, String topic) {
        subscriber.subscribe(channel(subscriber, topic));
        subscriber.pump();
    }

    synchronized void unsubscribe(Subscriber subscriber, String topic) {
        Channel channel = fixed.get(topic);
        if (channel == null && topic.startsWith(TASK)) {
            channel = taskChannels.get(TaskView.of(subscriber, topic));
        }
        if (channel != null) {
            subscriber.unsubscribe(channel);
            removeUnsubscribedTasks();
        }
    }

    private synchronized Channel channel(Subscriber subscriber, String topic) {
        Channel known = fixed.get(topic);
        Caller caller = subscriber.caller();
        if (caller.taskId() != null && !topic.equals(TASK + caller.taskId()) || caller.isScoped() && known != null) {
            throw new IllegalArgumentException("this credential may not subscribe to topic " + topic);
        }
        if (known != null) {
            return known;
        }
        String taskId = topic.startsWith(TASK) ? topic.substring(TASK.length()) : "";
        if (taskId.isEmpty() || taskId.length() > 200) {
            throw new IllegalArgumentException(
                    "unknown topic " + topic + ": the topics are queues, agents, stats, history and tasks/{task_id}");
        }
        TaskView view = TaskView.of(subscriber, topic);
        Set<Channel> wanted = new HashSet<>(subscriber.subscriptions());
        wanted.removeAll(fixed.values());
        if (wanted.size() >= MAX_TASKS_PER_CLIENT && !wanted.contains(taskChannels.get(view))) {
            throw new IllegalArgumentException(
                    "at most " + MAX_TASKS_PER_CLIENT + " tasks can be subscribed to at once");
        }
        if (taskChannels.size() >= MAX_TASKS && !taskChannels.containsKey(view)) {
            throw new IllegalArgumentException(
                    "clients of this coordinator already subscribe to " + MAX_TASKS + " tasks: try again later");
        }
        Channel channel = taskChannels.computeIfAbsent(view, of -> new Channel(TASK + of.taskId));
        // Subscribe inside the lock: a channel without subscribers is removed.
        subscriber.subscribe(channel);
        return channel;
    }

    private void removeUnsubscribedTasks() {
        taskChannels.values().retainAll(subscribedChannels());
    }

    private Set<Channel> subscribedChannels() {
        return subscribers.stream()
                .flatMap(subscriber -> subscriber.subscriptions().stream())
                .collect(Collectors.toSet());
    }

    private void pollCluster() throws Exception {
        List<Channel> all = List.of(queues, stats, history);
        boolean watched = all.stream().anyMatch(subscribedChannels()::contains);
        if (!cluster.isStarted()) {
            all.forEach(
                    channel -> channel.unavailable("this coordinator is waiting for Kafka and Redis", clock.instant()));
            subscribers.forEach(Subscriber::pump);
            return;
        }
        poll(all, () -> {
            if (cluster.refresh(watched)) {
                queues.publish(cluster.queues(), clock.instant());
                stats.publish(cluster.stats(), clock.instant());
                JsonNode news = cluster.latestHistory();
                if (news != null || history.isUnknown()) {
                    history.publish(cluster.history(), news, clock.instant());
                }
            }
        });
    }

    private void pollAgents() throws Exception {
        if (subscribedChannels().contains(agentList)) {
            poll(List.of(agentList), () -> agents.refresh(agentList));
        } else {
            agents.forget();
            agentList.forget();
        }
    }

    private void pollTasks() throws Exception {
        Map<TaskView, Channel> subscribed = Map.copyOf(taskChannels);
        if (!subscribed.isEmpty()) {
            poll(subscribed.values(), () -> {
                Set<String> unread = subscribed.entrySet().stream()
                        .filter(one -> one.getValue().isUnknown())
                        .map(one -> one.getKey().taskId)
                        .collect(Collectors.toSet());
                Set<String> all =
                        subscribed.keySet().stream().map(view -> view.taskId).collect(Collectors.toSet());
                Map<String, JsonNode> read = tasks.read(all, unread);
                subscribed.forEach((view, channel) -> {
                    JsonNode task = read.get(view.taskId);
                    if (task != null) {
                        channel.publish(view.show(task), clock.instant());
                    }
                });
            });
        }
    }

    private void sendKeepalive() {
        String keepalive = Json.object()
                .put("v", Channel.VERSION)
                .put("kind", "alive")
                .put("at", clock.instant().toString())
                .toString();
        subscribers.forEach(subscriber -> subscriber.sendNoticeIfNone(keepalive));
    }

    private void poll(Iterable<Channel> channels, PeriodicJob.Action action) throws Exception {
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
