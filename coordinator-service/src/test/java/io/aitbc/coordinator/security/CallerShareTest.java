package io.aitbc.coordinator.security;

import static org.assertj.core.api.Assertions.assertThat;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class CallerShareTest {
    private final CallerShare share = new CallerShare(2, 1);

    private static Caller caller(String keyId, @Nullable String fairnessKey) {
        return new Caller("x", Role.SUBMITTER, null, fairnessKey, null, keyId, null);
    }

    @Test
    void eachCredentialHasItsOwnShare() {
        Caller one = caller("1", null);
        assertThat(share.tryAcquire(one)).isTrue();
        assertThat(share.tryAcquire(one)).isTrue();
        assertThat(share.tryAcquire(one)).isFalse();
        assertThat(share.tryAcquire(one)).isFalse();
        assertThat(share.tryAcquire(caller("2", null))).isTrue();

        share.release(one);

        assertThat(share.tryAcquire(one)).isTrue();
        assertThat(share.tryAcquire(one)).isFalse();
    }

    @Test
    void aScopeHasLess() {
        assertThat(share.tryAcquire(caller("3", "acme"))).isTrue();
        assertThat(share.tryAcquire(caller("3", "acme"))).isFalse();
        Caller ofTask = new Caller("x", Role.VIEWER, null, null, "task-1", null, null);
        assertThat(share.tryAcquire(ofTask)).isTrue();
        assertThat(share.tryAcquire(ofTask)).isFalse();
        // Not another share for each task.
        assertThat(share.tryAcquire(new Caller("x", Role.VIEWER, null, null, "task-2", null, null)))
                .isFalse();
        assertThat(share.tryAcquire(new Caller("y", Role.VIEWER, null, null, "task-2", null, null)))
                .isTrue();
    }

    @Test
    void whileSecurityIsOffNobodyIsBounded() {
        for (int i = 0; i < 10; i++) {
            assertThat(share.tryAcquire(Caller.ANYONE)).isTrue();
        }
    }
}
