package io.aitbc.agentctl;

import java.util.Locale;

/** For whom a command writes. */
enum Output {
    /** For people: aligned columns. */
    TABLE,
    /** For programs: a JSON document in one line, or one per line where things happen one after the other. */
    JSON;

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
