package io.aitbc.agentctl;

import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/** A progress bar on standard error if that is a terminal; otherwise no output. */
final class Progress implements AutoCloseable {
    private static final int UPDATE_MS = 200;

    private final @Nullable ProgressBar bar;

    private Progress(@Nullable ProgressBar bar) {
        this.bar = bar;
    }

    static Progress of(Terminal terminal, String name, long total) {
        return new Progress(
                terminal.showsProgress().getAsBoolean()
                        ? new ProgressBarBuilder()
                                .setTaskName(name)
                                .setInitialMax(total)
                                .setStyle(ProgressBarStyle.ASCII)
                                .setUpdateIntervalMillis(UPDATE_MS)
                                .build()
                        : null);
    }

    static Progress none() {
        return new Progress(null);
    }

    void by(long done) {
        if (bar != null) {
            bar.stepBy(done);
        }
    }

    void to(long done) {
        if (bar != null) {
            bar.stepTo(done);
        }
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
