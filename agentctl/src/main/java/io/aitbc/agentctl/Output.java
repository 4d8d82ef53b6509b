package io.aitbc.agentctl;

import java.util.Locale;

/** Output format of a command. */
enum Output {
    /** Aligned columns, for people. */
    TABLE,
    /** JSON, for programs: one document per line. A command that reports a sequence of events prints several lines. */
    JSON;

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
