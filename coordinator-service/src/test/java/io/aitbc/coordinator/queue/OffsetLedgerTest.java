package io.aitbc.coordinator.queue;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.LongPredicate;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class OffsetLedgerTest {
    private static final int MAX_METADATA = 4096;
    /** Larger than the number of done offsets that the ledger keeps before it compacts its bitmap. */
    private static final int FAR = 200_000;

    @ParameterizedTest(name = "read 10 to {0}, finished {1}")
    @CsvSource(nullValues = "-", textBlock = """
                    # last read, finished, lowest unfinished, unfinished, done above
                    9,  -,                 10,                0,          0
                    12, -,                 10,                3,          0
                    12, 10,                11,                2,          0
                    12, 11,                10,                2,          1
                    12, 12 11,             10,                1,          2
                    12, 11 10,             12,                1,          0
                    12, 12 11 10,          13,                0,          0
                    12, 10 10 10,          11,                2,          0
                    15, 14 10 12 11,       13,                2,          1
                    """)
    void commitsTheLowestUnfinished(int lastRead, String finished, long lowest, long unfinished, long doneAbove) {
        OffsetLedger ledger = read(10, lastRead);

        if (finished != null) {
            Stream.of(finished.split(" ")).map(Long::valueOf).forEach(ledger::finished);
        }

        assertThat(ledger.lowestUnfinished()).isEqualTo(lowest);
        assertThat(ledger.unfinishedBelow(ledger.next())).isEqualTo(unfinished);
        assertThat(OffsetLedger.doneAbove(ledger.metadata())).isEqualTo(doneAbove);
        assertThat(ledger.next()).isEqualTo(lastRead + 1);
    }

    @Test
    void whatIsNotThereYetIsNotDone() {
        for (long end : List.of(3L, 5L, 6L, 7L, 100L)) {
            OffsetLedger ledger = new OffsetLedger(5);
            ledger.received(5);
            ledger.received(6);
            ledger.received(7);
            ledger.finished(6);
            ledger.finished(7);
            ledger.forgetFrom(end);
            assertThat(List.of(ledger.lowestUnfinished(), ledger.doneAbove()))
                    .as("end %d", end)
                    .isEqualTo(List.of(Math.min(end, 5), Math.max(0, Math.min(end, 8) - 6)));
            assertThat(ledger.isDone(end)).isFalse();
            assertThat(ledger.received(end)).isTrue();
        }
    }

    @Test
    void offsetsThatHoldNoRecordAreDone() {
        OffsetLedger ledger = read(10, 10);

        assertThat(ledger.received(14)).isTrue();
        ledger.readUpTo(20);

        assertThat(ledger.unfinishedBelow(ledger.next())).isEqualTo(2);
        assertThat(offsetsDone(ledger, 10, 21)).containsExactly(11L, 12L, 13L, 15L, 16L, 17L, 18L, 19L);
        ledger.finished(10);
        ledger.finished(14);
        assertThat(ledger.lowestUnfinished()).isEqualTo(20);
    }

    /** Few blocked tasks among very many finished ones, as in a queue in which some wait for days. */
    @Test
    void longRunsAreCommittedEvenIfNotAllFit() {
        OffsetLedger ledger = new OffsetLedger(0);
        for (int offset = 0; offset < 1_600_000; offset++) {
            ledger.received(offset);
            if (offset % 1_000 != 0) {
                ledger.finished(offset);
            }
        }

        OffsetLedger restored = OffsetLedger.restore(ledger.lowestUnfinished(), ledger.metadata());

        assertThat(ledger.isMetadataTruncated()).isTrue();
        assertThat(LongStream.range(0, 1_600_000).filter(restored::isDone).count())
                .isGreaterThan(1_000_000);
        assertThat(LongStream.range(0, 1_600).filter(i -> restored.isDone(i * 1_000)))
                .isEmpty();
    }

    /** As when a partition is lost and regained while a reservation is pending. */
    @Test
    void offsetsFinishedBeforeTheyAreReadDoNotCountAsRead() {
        OffsetLedger ledger = new OffsetLedger(10);

        ledger.finished(15);

        assertThat(ledger.next()).isEqualTo(10);
        assertThat(ledger.unfinishedBelow(ledger.next())).isZero();
        assertThat(ledger.received(10)).isTrue();
        assertThat(ledger.received(15)).isFalse();
        assertThat(ledger.unfinishedBelow(ledger.next())).isEqualTo(1);
    }

    @Test
    void aLongGapWithoutUnfinishedOffsetsIsSkipped() {
        OffsetLedger ledger = new OffsetLedger(10);

        assertThat(ledger.received(5_000_000_000L)).isTrue();

        assertThat(ledger.lowestUnfinished()).isEqualTo(5_000_000_000L);
        assertThat(ledger.unfinishedBelow(ledger.next())).isEqualTo(1);
        assertThat(ledger.metadata()).isEmpty();
        assertThat(ledger.isDone(4_999_999_999L)).isTrue();
    }

    @Test
    void aLongGapBehindAnUnfinishedOffsetDoesNotFinishIt() {
        OffsetLedger ledger = read(10, 10);

        assertThat(ledger.received(FAR)).isTrue();

        assertThat(ledger.lowestUnfinished()).isEqualTo(10);
        assertThat(ledger.unfinishedBelow(ledger.next())).isEqualTo(2);
        ledger.finished(10);
        assertThat(ledger.lowestUnfinished()).isEqualTo(FAR);
    }

    @Test
    void doneOffsetsAreNotReceivedAgain() {
        OffsetLedger ledger = read(10, 14);
        ledger.finished(12);

        OffsetLedger restored = restart(ledger);

        assertThat(LongStream.rangeClosed(10, 15).filter(restored::received)).containsExactly(10L, 11L, 13L, 14L, 15L);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
    void agreesWithTheNaiveModelInAnyOrder(long seed) {
        Random random = new Random(seed);
        long start = random.nextInt(3) * 1_000_000_000_000L;
        OffsetLedger ledger = new OffsetLedger(start);
        Model model = new Model(start);
        int window = 1 + random.nextInt(60);
        for (int step = 0; step < 700; step++) {
            if (model.unfinished().size() < window && random.nextBoolean()) {
                long gap = random.nextInt(10) == 0 ? random.nextInt(100) : 0;
                assertThat(ledger.received(model.next + gap)).isEqualTo(model.received(model.next + gap));
            } else if (!model.unfinished().isEmpty()) {
                List<Long> unfinished = model.unfinished();
                long finished = unfinished.get(random.nextInt(unfinished.size()));
                ledger.finished(finished);
                model.done.add(finished);
            }
            if (random.nextInt(50) == 0) {
                ledger = restart(ledger);
                model.next = model.lowestUnfinished();
            }
            model.mustAgreeWith(ledger);
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void agreesWithTheNaiveModelOverALongRun(long seed) {
        Random random = new Random(seed);
        OffsetLedger ledger = new OffsetLedger(0);
        TreeSet<Long> unfinished = new TreeSet<>();
        for (long offset = 0; offset < FAR; offset++) {
            assertThat(ledger.received(offset)).isTrue();
            unfinished.add(offset);
            while (unfinished.size() > random.nextInt(2_000)) {
                // Mostly near the lowest unfinished offset, so that it advances; sometimes far above it.
                long from = unfinished.first() + (long) (Math.abs(random.nextGaussian()) * 300);
                Long finished = unfinished.floor(from);
                ledger.finished(finished);
                unfinished.remove(finished);
            }
            if (offset % 997 == 0) {
                mustHold(unfinished, ledger);
                mustHold(unfinished, caughtUp(restart(ledger), offset));
            }
        }
        unfinished.forEach(ledger::finished);
        assertThat(ledger.lowestUnfinished()).isEqualTo(FAR);
    }

    private static void mustHold(TreeSet<Long> unfinished, OffsetLedger ledger) {
        long lowest = unfinished.isEmpty() ? ledger.next() : unfinished.first();
        assertThat(ledger.lowestUnfinished()).isEqualTo(lowest);
        assertThat(ledger.unfinishedBelow(ledger.next())).isEqualTo(unfinished.size());
        assertThat(offsetsNotDone(ledger, lowest, ledger.next())).isEqualTo(List.copyOf(unfinished));
    }

    static Stream<Named<LongPredicate>> patterns() {
        Random random = new Random(1);
        boolean[] coin = booleans(random, 0.5);
        boolean[] rarely = booleans(random, 0.02);
        boolean[] mostly = booleans(random, 0.98);
        return Stream.of(
                Named.of("every second", offset -> offset % 2 == 1),
                Named.of("all but the first", offset -> offset > 0),
                Named.of("the last", offset -> offset == 19_999),
                Named.of("by chance", offset -> coin[(int) offset]),
                Named.of("few", offset -> rarely[(int) offset]),
                Named.of("most", offset -> mostly[(int) offset]),
                Named.of("runs as long as a varint's first byte tells", offset -> offset % 256 >= 128),
                Named.of(
                        "first half dense, second half scattered",
                        offset -> offset < 10_000 ? offset > 5 : offset % 2 == 1));
    }

    @ParameterizedTest
    @MethodSource("patterns")
    void theDoneOffsetsOfAWindowSurviveARestart(LongPredicate done) {
        OffsetLedger ledger = ledgerOf(20_000, done);

        OffsetLedger restored = restart(ledger);

        assertThat(ledger.metadata().getBytes(StandardCharsets.UTF_8)).hasSizeLessThanOrEqualTo(MAX_METADATA);
        assertThat(offsetsDone(restored, 0, 20_100)).isEqualTo(offsetsDone(ledger, 0, 20_100));
        assertThat(OffsetLedger.doneAbove(ledger.metadata()))
                .isEqualTo(
                        offsetsDone(ledger, ledger.lowestUnfinished(), 20_000).size());
        assertThat(restored.metadata()).isEqualTo(ledger.metadata());
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void truncatedMetadataNeverMarksAnUnfinishedOffset(long seed) {
        boolean[] coin = booleans(new Random(seed), 0.1 + 0.1 * seed);
        OffsetLedger ledger = ledgerOf(FAR, offset -> coin[(int) offset]);

        OffsetLedger restored = restart(ledger);

        assertThat(ledger.metadata().getBytes(StandardCharsets.UTF_8)).hasSizeLessThanOrEqualTo(MAX_METADATA);
        assertThat(offsetsNotDone(ledger, 0, FAR)).noneMatch(restored::isDone);
        assertThat(offsetsDone(restored, 0, FAR)).hasSizeGreaterThan(1_000);
        assertThat(OffsetLedger.doneAbove(ledger.metadata()))
                .isEqualTo(offsetsDone(ledger, ledger.lowestUnfinished(), FAR).size());
    }

    static Stream<String> foreignMetadata() {
        return Stream.of(
                "",
                "somebody else's",
                "2:AgE=",
                "1",
                "1:",
                "1:not base64",
                "1:AgE", // truncated, like the next
                encoded(0x80),
                encoded(3),
                encoded(3, 'X', 1, 2),
                encoded(3, 'R', 0, 3), // the committed offset itself cannot be done
                encoded(1, 'B', 1),
                encoded(2, 'R', 1, 3), // more than there are
                encoded(2, 'B', 0xFE),
                encoded(3, 'R', 1, 0xFF), // a truncated length
                encoded(3, 'R', 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1),
                encoded(3, 'R', 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 3), // a negative length
                encoded(3, 'R', 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 3)); // beyond any window
    }

    @ParameterizedTest
    @MethodSource("foreignMetadata")
    void unreadableMetadataIsIgnored(String metadata) {
        OffsetLedger ledger = OffsetLedger.restore(10, metadata);

        assertThat(OffsetLedger.doneAbove(metadata)).isZero();
        assertThat(LongStream.rangeClosed(10, 40).filter(ledger::received)).hasSize(31);
        ledger.finished(10);
        assertThat(ledger.lowestUnfinished()).isEqualTo(11);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5})
    void garbledMetadataNeverThrowsNorBlocks(long seed) {
        Random random = new Random(seed);
        byte[] good = Base64.getDecoder()
                .decode(ledgerOf(300, offset -> offset % 7 > 2).metadata().substring(2));
        for (int i = 0; i < 2_000; i++) {
            byte[] bytes = good.clone();
            for (int hits = random.nextInt(4); hits >= 0; hits--) {
                bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
            }
            String metadata = "1:" + Base64.getEncoder().encodeToString(bytes);

            OffsetLedger ledger = OffsetLedger.restore(10, metadata);

            assertThat(OffsetLedger.doneAbove(metadata)).as(metadata).isNotNegative();
            assertThat(ledger.received(10)).as(metadata).isTrue();
            ledger.finished(10);
            assertThat(ledger.lowestUnfinished()).as(metadata).isGreaterThan(10);
        }
    }

    /** The naive model of a ledger. */
    private static final class Model {
        final long start;
        final TreeSet<Long> done = new TreeSet<>();
        long next;

        Model(long start) {
            this.start = start;
            this.next = start;
        }

        boolean received(long offset) {
            for (; next < offset; next++) {
                done.add(next);
            }
            next = Math.max(next, offset + 1);
            return !done.contains(offset);
        }

        long lowestUnfinished() {
            return LongStream.iterate(start, offset -> offset + 1)
                    .filter(offset -> !done.contains(offset))
                    .findFirst()
                    .getAsLong();
        }

        List<Long> unfinished() {
            return LongStream.range(start, next)
                    .filter(offset -> !done.contains(offset))
                    .boxed()
                    .toList();
        }

        void mustAgreeWith(OffsetLedger ledger) {
            long lowest = lowestUnfinished();
            assertThat(ledger.lowestUnfinished()).isEqualTo(lowest);
            assertThat(ledger.unfinishedBelow(ledger.next()))
                    .isEqualTo(unfinished().size());
            assertThat(LongStream.range(ledger.lowestUnfinished(), ledger.next())
                            .filter(offset -> !ledger.isDone(offset))
                            .boxed())
                    .containsExactlyElementsOf(unfinished());
            assertThat(OffsetLedger.doneAbove(ledger.metadata()))
                    .isEqualTo(done.tailSet(lowest).size());
            assertThat(offsetsDone(ledger, lowest - 5, lowest + 200))
                    .isEqualTo(LongStream.range(lowest - 5, lowest + 200)
                            .filter(offset -> offset < lowest || done.contains(offset))
                            .boxed()
                            .toList());
        }
    }

    private static OffsetLedger read(long from, long to) {
        OffsetLedger ledger = new OffsetLedger(from);
        return caughtUp(ledger, to);
    }

    private static OffsetLedger caughtUp(OffsetLedger ledger, long lastRead) {
        LongStream.rangeClosed(ledger.next(), lastRead).forEach(ledger::received);
        return ledger;
    }

    /** Returns a ledger with offsets 0 to {@code end}, exclusive, read and some of them finished, in random order. */
    private static OffsetLedger ledgerOf(int end, LongPredicate done) {
        OffsetLedger ledger = read(0, end - 1);
        List<Long> finished =
                new ArrayList<>(LongStream.range(0, end).filter(done).boxed().toList());
        Collections.shuffle(finished, new Random(end));
        finished.forEach(ledger::finished);
        return ledger;
    }

    private static OffsetLedger restart(OffsetLedger ledger) {
        return OffsetLedger.restore(ledger.lowestUnfinished(), ledger.metadata());
    }

    private static List<Long> offsetsDone(OffsetLedger ledger, long from, long to) {
        return LongStream.range(from, to).filter(ledger::isDone).boxed().toList();
    }

    private static List<Long> offsetsNotDone(OffsetLedger ledger, long from, long to) {
        return LongStream.range(from, to)
                .filter(offset -> !ledger.isDone(offset))
                .boxed()
                .toList();
    }

    private static boolean[] booleans(Random random, double share) {
        boolean[] values = new boolean[FAR];
        for (int i = 0; i < FAR; i++) {
            values[i] = random.nextDouble() < share;
        }
        return values;
    }

    private static String encoded(int... bytes) {
        byte[] raw = new byte[bytes.length];
        IntStream.range(0, bytes.length).forEach(i -> raw[i] = (byte) bytes[i]);
        return "1:" + Base64.getEncoder().encodeToString(raw);
    }

    /** Whatever the two have done and read, the union has done what either has, and nothing else. */
    @Test
    void theUnionOfLedgersHasDoneWhatEitherHas() {
        for (int seed = 0; seed < 2_000; seed++) {
            Random random = new Random(seed);
            OffsetLedger one = randomLedger(random);
            OffsetLedger other = randomLedger(random);
            Set<Long> expected = new TreeSet<>();
            for (long offset = 0; offset < 200; offset++) {
                if (one.isDone(offset) || other.isDone(offset)) {
                    expected.add(offset);
                }
            }

            one.addAll(other);

            Set<Long> done = new TreeSet<>();
            for (long offset = 0; offset < 200; offset++) {
                if (one.isDone(offset)) {
                    done.add(offset);
                }
            }
            assertThat(done).as("seed %d", seed).isEqualTo(expected);
        }
    }

    private static OffsetLedger randomLedger(Random random) {
        OffsetLedger ledger = new OffsetLedger(random.nextInt(100));
        for (int i = random.nextInt(60); i > 0; i--) {
            long offset = random.nextInt(150);
            ledger.received(offset);
            ledger.finished(offset);
        }
        return OffsetLedger.restore(ledger.lowestUnfinished(), ledger.metadata());
    }
}
