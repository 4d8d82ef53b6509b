package io.aitbc.coordinator.history;

import jakarta.validation.constraints.NotNull;
import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * Where the history of tasks is kept.
 *
 * @param url of PostgreSQL, such as {@code postgresql://host:5432/database}, with or without {@code jdbc:}; {@code off} for none
 * @param user of the database; empty if the URL or the server's rules say who connects
 * @param password of the user
 * @param retention how long tasks are kept, at least a day
 */
@Validated
@ConfigurationProperties("aitbc.history")
record HistorySettings(
        String url, String user, String password, @NotNull Duration retention) {
    private static final String JDBC = "jdbc:";
    private static final String POSTGRESQL = "postgresql://";

    HistorySettings {
        url = url.trim();
        if (!isOff(url) && !url.startsWith(POSTGRESQL) && !url.startsWith(JDBC + POSTGRESQL)) {
            // Not repeated in the message: it may contain a password.
            throw new IllegalArgumentException(
                    "aitbc.history.url must be off, or begin with postgresql://, such as postgresql://localhost:5432/history");
        }
        if (retention.toDays() < 1) {
            throw new IllegalArgumentException("aitbc.history.retention must be at least a day");
        }
    }

    static boolean isOff(String url) {
        return url.isBlank() || url.trim().equals("off");
    }

    String jdbcUrl() {
        return url.startsWith(JDBC) ? url : JDBC + url;
    }
}
