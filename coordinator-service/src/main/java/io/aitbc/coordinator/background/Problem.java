package io.aitbc.coordinator.background;

/**
 * A problem of a background activity.
 *
 * @param sentence what it is
 * @param needsRestart whether only a restart of the process mends it: a thread that has ended, or is stuck
 */
public record Problem(String sentence, boolean needsRestart) {
    @Override
    public String toString() {
        return sentence;
    }
}
