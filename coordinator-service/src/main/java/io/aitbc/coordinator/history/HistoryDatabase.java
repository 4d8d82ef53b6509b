package io.aitbc.coordinator.history;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Set;
import java.util.function.Supplier;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.FlywayException;
import org.jspecify.annotations.Nullable;
import org.springframework.core.NestedExceptionUtils;
import org.springframework.dao.DataAccessException;
import org.springframework.dao.DataAccessResourceFailureException;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.transaction.CannotCreateTransactionException;
import org.springframework.transaction.TransactionDefinition;
import org.springframework.transaction.TransactionException;
import org.springframework.transaction.support.TransactionTemplate;

/** The connections to PostgreSQL. Nothing can be used until the tables are created, or migrated. Thread-safe. */
final class HistoryDatabase implements AutoCloseable {
    private static final int MAX_CONNECTIONS = 8;
    private static final Duration CONNECTION_TIMEOUT = Duration.ofSeconds(3);
    /** Of the statements that write. */
    private static final Duration WRITE_TIMEOUT = Duration.ofSeconds(30);
    /** After a failed connection, others are not tried for so long. */
    private static final Duration RETRY_INTERVAL = Duration.ofSeconds(2);
    /** A lost server is noticed then, whatever TCP says. */
    private static final Duration SOCKET_TIMEOUT = Duration.ofSeconds(45);

    private final HikariDataSource source;
    private final TransactionTemplate transactions;
    private final TransactionTemplate snapshots;
    private final Clock clock;
    private volatile boolean migrated;
    private volatile Instant failedAt = Instant.MIN;
    private volatile @Nullable HistoryUnavailableException lastFailure;

    HistoryDatabase(HistorySettings settings, Clock clock) {
        this.clock = clock;
        HikariConfig config = new HikariConfig();
        config.setPoolName("history");
        config.setJdbcUrl(settings.jdbcUrl());
        if (!settings.user().isEmpty()) {
            config.setUsername(settings.user());
            config.setPassword(settings.password());
        }
        config.setMaximumPoolSize(MAX_CONNECTIONS);
        config.setMinimumIdle(1);
        config.setConnectionTimeout(CONNECTION_TIMEOUT.toMillis());
        // The server may come later.
        config.setInitializationFailTimeout(-1);
        // A plan for any value would be one for an average label or word.
        config.addDataSourceProperty("prepareThreshold", 0);
        config.addDataSourceProperty("ApplicationName", "agent-coordinator");
        config.addDataSourceProperty("connectTimeout", CONNECTION_TIMEOUT.toSeconds());
        config.addDataSourceProperty("socketTimeout", SOCKET_TIMEOUT.toSeconds());
        source = new HikariDataSource(config);
        DataSourceTransactionManager manager = new DataSourceTransactionManager(source);
        transactions = new TransactionTemplate(manager);
        snapshots = new TransactionTemplate(manager);
        snapshots.setIsolationLevel(TransactionDefinition.ISOLATION_REPEATABLE_READ);
        snapshots.setReadOnly(true);
    }

    /** @throws HistoryUnavailableException if the database cannot be used */
    <T> T inTransaction(Supplier<T> work) {
        return use(() -> {
            @Nullable T result = transactions.execute(status -> work.get());
            return result;
        });
    }

    /**
     * Reads several times as of the same moment.
     *
     * @throws HistoryUnavailableException if the database cannot be used
     */
    <T> T inSnapshot(Supplier<T> work) {
        return use(() -> {
            @Nullable T result = snapshots.execute(status -> work.get());
            return result;
        });
    }

    /** @throws HistoryUnavailableException if the database cannot be used */
    <T extends @Nullable Object> T use(Supplier<T> work) {
        try {
            if (!migrated) {
                throw new HistoryUnavailableException(
                        new IllegalStateException("the tables have not been created yet"));
            }
            Instant failed = failedAt;
            HistoryUnavailableException last = lastFailure;
            if (last != null && clock.instant().isBefore(failed.plus(RETRY_INTERVAL))) {
                // The next one would wait for a connection as long as that one did.
                throw last;
            }
            T result = work.get();
            lastFailure = null;
            return result;
        } catch (DataAccessException | TransactionException | FlywayException e) {
            HistoryUnavailableException failure = new HistoryUnavailableException(e);
            if (e instanceof DataAccessResourceFailureException || e instanceof CannotCreateTransactionException) {
                failedAt = clock.instant();
                lastFailure = failure;
            }
            throw failure;
        }
    }

    JdbcClient client() {
        return client(WRITE_TIMEOUT);
    }

    /** @param timeout of each statement, in whole seconds */
    JdbcClient client(Duration timeout) {
        JdbcTemplate template = new JdbcTemplate(source);
        template.setQueryTimeout((int) timeout.toSeconds());
        return JdbcClient.create(template);
    }

    /**
     * Creates or migrates the tables, once. Called by one thread.
     *
     * @throws HistoryUnavailableException if the database cannot be used
     */
    void migrate() {
        if (migrated) {
            return;
        }
        try {
            Flyway.configure()
                    .dataSource(source)
                    .locations("classpath:db/history")
                    .table("history_schema")
                    // The schema may have tables of others.
                    .baselineOnMigrate(true)
                    .baselineVersion("0")
                    .load()
                    .migrate();
            migrated = true;
        } catch (FlywayException e) {
            throw new HistoryUnavailableException(e);
        }
    }

    boolean isMigrated() {
        return migrated;
    }

    @Override
    public void close() {
        source.close();
    }

    /** The database does not answer, or refuses. The message is one line for operators. */
    static final class HistoryUnavailableException extends RuntimeException {
        /** Classes of SQL states: data exception, integrity constraint violation, program limit exceeded. */
        private static final Set<String> DATA_ERRORS = Set.of("22", "23", "54");

        HistoryUnavailableException(Exception cause) {
            super(firstLine(NestedExceptionUtils.getMostSpecificCause(cause)), cause);
        }

        /** Whether the statement is at fault, or its values, and not the server or the connection. */
        boolean isAboutData() {
            return NestedExceptionUtils.getMostSpecificCause(this) instanceof SQLException failure
                    && failure.getSQLState() != null
                    && DATA_ERRORS.contains(failure.getSQLState().substring(0, 2));
        }

        private static String firstLine(Throwable cause) {
            return String.valueOf(cause.getMessage()).lines().findFirst().orElse(cause.toString());
        }
    }
}
