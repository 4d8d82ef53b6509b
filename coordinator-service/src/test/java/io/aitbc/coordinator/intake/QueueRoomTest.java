package io.aitbc.coordinator.intake;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class QueueRoomTest {
    private final QueueRoom room = new QueueRoom();

    private long begin(int tasks) {
        return IntStream.range(0, tasks).filter(i -> room.tryBegin()).count();
    }

    @Test
    void everyTaskHasRoomUntilTheSizeIsKnown() {
        assertThat(begin(100)).isEqualTo(100);
    }

    @Test
    void noMoreTasksThanAreFree() {
        room.update(room.mark(), 3);

        assertThat(begin(5)).isEqualTo(3);
    }

    @Test
    void aFullQueueHasNoRoom() {
        room.update(room.mark(), -2);

        assertThat(begin(1)).isZero();
    }

    /** The size may have been read before or after the records of these tasks were written. */
    @Test
    void tasksThatAreBeingAppendedWhileTheSizeIsReadCount() {
        assertThat(begin(2)).isEqualTo(2);
        long mark = room.mark();
        assertThat(begin(1)).isEqualTo(1);
        room.end();
        room.update(mark, 5);

        assertThat(begin(10)).isEqualTo(2);
    }

    @Test
    void tasksThatWereAppendedBeforeCountInTheSizeAlone() {
        assertThat(begin(4)).isEqualTo(4);
        IntStream.range(0, 4).forEach(i -> room.end());
        room.update(room.mark(), 5);

        assertThat(begin(10)).isEqualTo(5);
    }
}
