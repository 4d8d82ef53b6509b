package io.aitbc.coordinator.match;

import static io.aitbc.coordinator.agent.AnAgent.NOW;
import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.contracts.Priority;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class KeyQueueTest {
    /** Against a sorted list, whatever is added, removed, brought near and put off in between. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
    void entriesComeInTurn(int seed) {
        Random random = new Random(seed);
        KeyQueue queue = new FairShares().open(0, "");
        List<BacklogEntry> model = new ArrayList<>();
        Set<BacklogEntry> requested = new HashSet<>();
        for (int step = 0; step < 3_000; step++) {
            switch (random.nextInt(8)) {
                case 0, 1, 2 -> {
                    WaitingTask task = ATask.named("t" + step)
                            .at(random.nextInt(3), step)
                            .since(NOW.plusMillis(random.nextInt(40) + step / 10))
                            .build();
                    BacklogEntry entry = BacklogEntry.of(TaskSummary.of(task));
                    entry.task = random.nextBoolean() ? task : null;
                    queue.add(entry, random.nextInt(4) > 0);
                    if (!entry.isNear()) {
                        entry.task = null;
                    }
                    model.add(entry);
                }
                case 3 -> {
                    if (!model.isEmpty()) {
                        model.remove(random.nextInt(model.size())).markRemoved();
                    }
                }
                case 4 -> queue.promote(1 + random.nextInt(10));
                case 5 -> queue.demote(random.nextInt(6), entry -> entry.task = null);
                case 6 -> queue.purge();
                default -> {
                    BacklogEntry head = queue.head();
                    if (head != null && head.task != null) {
                        queue.pollHead();
                        model.remove(head);
                        head.markRemoved();
                    }
                }
            }
            List<BacklogEntry> wanted = new ArrayList<>();
            queue.takeUnrequested(wanted);
            assertThat(wanted).allMatch(entry -> entry.isNear() && entry.task == null);
            requested.addAll(wanted);
            if (random.nextBoolean()) {
                requested.removeIf(entry -> {
                    if (entry.isNear() && !entry.isRemoved()) {
                        entry.task = task(entry);
                    }
                    return true;
                });
            }
            assertThat(queue.head())
                    .isEqualTo(model.stream().min(BacklogEntry.BY_TURN).orElse(null));
        }
        drain(queue, model);
    }

    /** An entry that is near without a payload and not requested would never be assigned. */
    private static void drain(KeyQueue queue, List<BacklogEntry> model) {
        List<BacklogEntry> order = new ArrayList<>();
        while (queue.head() != null) {
            queue.promote(3);
            List<BacklogEntry> wanted = new ArrayList<>();
            queue.takeUnrequested(wanted);
            wanted.forEach(entry -> entry.task = task(entry));
            BacklogEntry head = queue.head();
            if (head.task == null) {
                // Requested before, by the test.
                head.task = task(head);
            }
            queue.pollHead();
            order.add(head);
        }
        assertThat(order).isEqualTo(model.stream().sorted(BacklogEntry.BY_TURN).toList());
    }

    private static WaitingTask task(BacklogEntry entry) {
        return ATask.named("read-again")
                .at(entry.partition(), entry.offset())
                .since(entry.waitingSince())
                .build();
    }

    @Test
    void anEntryKeepsWhatItIsOf() {
        WaitingTask task = ATask.named("t")
                .priority(Priority.LOW)
                .at(99_999, 1L << 40)
                .waiting(7)
                .build();

        BacklogEntry entry = BacklogEntry.of(TaskSummary.of(task));
        entry.setNear(true);

        assertThat(entry.position()).isEqualTo(task.position());
        assertThat(entry.waitingSince()).isEqualTo(task.waitingSince());
        assertThat(entry.idHash()).isEqualTo("t".hashCode());
        assertThat(entry.isRemoved()).isFalse();
        entry.markRemoved();
        entry.setNear(false);
        assertThat(entry.position()).isEqualTo(task.position());
        assertThat(entry.isRemoved()).isTrue();
        assertThat(entry.isNear()).isFalse();
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void aSetOfPositionsIsASet(int seed) {
        Random random = new Random(seed);
        PositionSet positions = new PositionSet();
        Set<Position> model = new HashSet<>();
        for (int step = 0; step < 5_000; step++) {
            Position position =
                    new Position(Priority.values()[random.nextInt(5)], random.nextInt(3), 65_500 + random.nextInt(100));
            if (random.nextBoolean()) {
                assertThat(positions.add(position)).isEqualTo(model.add(position));
            } else {
                positions.remove(position);
                model.remove(position);
            }
            assertThat(positions.contains(position)).isEqualTo(model.contains(position));
            assertThat(positions.size()).isEqualTo(model.size());
        }
        assertThat(model.stream().sorted(Comparator.naturalOrder())).allMatch(positions::contains);
    }
}
