package io.aitbc.worker;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class OpenOffsetsTest {
    private final OpenOffsets offsets = new OpenOffsets();

    @Test
    void onlyWhatIsReportedIsCommitted() {
        for (long offset = 5; offset < 8; offset++) {
            offsets.read(offset);
        }
        assertThat(offsets.toCommit()).isEqualTo(5);
        offsets.reported(6);
        assertThat(offsets.toCommit()).isEqualTo(-1);
        offsets.reported(5);
        assertThat(offsets.toCommit()).isEqualTo(7);
        offsets.reported(7);
        assertThat(offsets.size()).isZero();
        assertThat(offsets.toCommit()).isEqualTo(8);
    }

    @Test
    void aFailedCommitIsRepeated() {
        offsets.read(0);
        offsets.reported(0);
        assertThat(offsets.toCommit()).isEqualTo(1);
        assertThat(offsets.toCommit()).isEqualTo(-1);
        offsets.commitFailed();
        assertThat(offsets.toCommit()).isEqualTo(1);
    }
}
