package io.aitbc.coordinator.redis;

import io.lettuce.core.RedisNoScriptException;
import io.lettuce.core.ScriptOutputType;
import io.lettuce.core.codec.Base16;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * A Lua script that runs in Redis atomically and returns a flat list of strings and numbers. Its only key is the channel on which
 * it may publish notices. Corrupt keys are quarantined, see {@code guard.lua}, so that they do not make scripts fail.
 */
public final class Script {
    /** Prepended to every script: quarantines corrupt keys, reads and writes records of tasks, publishes notices. */
    private static final String PRELUDE =
            text(Script.class, "guard") + text(Script.class, "record") + text(Script.class, "notice");

    /** Prepended to scripts that grant, settle or end: they fail while agents' assignments are unknown. */
    private static final String COMPLETE = text(Script.class, "complete");

    private static final char SEPARATOR = 30;

    private final String text;
    private final String digest;

    private Script(String text) {
        this.text = text;
        this.digest = Base16.digest(text.getBytes(StandardCharsets.UTF_8));
    }

    /** Loads {@code <name>.lua} from the package of a class. */
    public static Script load(Class<?> owner, String name) {
        return new Script(PRELUDE + text(owner, name));
    }

    /** Like {@link #load}; the script fails while agents' assignments are unknown, as after Redis was emptied. */
    public static Script loadFenced(Class<?> owner, String name) {
        return new Script(PRELUDE + COMPLETE + text(owner, name));
    }

    private static String text(Class<?> owner, String name) {
        try (InputStream resource = owner.getResourceAsStream(name + ".lua")) {
            if (resource == null) {
                throw new IllegalStateException("missing script " + name + ".lua beside " + owner.getName());
            }
            return new String(resource.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Joins texts into one argument, which a script takes apart with {@code split}: for a batch this costs the client much less than many
     * arguments. None of the texts may contain the separator, a control character that JSON escapes and ids cannot have.
     */
    public static String join(List<String> texts) {
        int length = texts.size();
        for (String text : texts) {
            length += text.length();
        }
        StringBuilder joined = new StringBuilder(length);
        for (String text : texts) {
            joined.append(text).append(SEPARATOR);
        }
        return joined.toString();
    }

    /** Runs the script; the future fails if Redis is unavailable or the script has an error. */
    public CompletableFuture<List<Object>> run(Redis redis, List<String> arguments) {
        String[] keys = {redis.channel(Keys.AGENT_EVENTS)};
        String[] values = arguments.toArray(String[]::new);
        CompletableFuture<List<Object>> first;
        try {
            first = redis.async()
                    .<List<Object>>evalsha(digest, ScriptOutputType.MULTI, keys, values)
                    .toCompletableFuture();
        } catch (RuntimeException e) {
            return CompletableFuture.failedFuture(e);
        }
        return first.exceptionallyCompose(failure -> {
            Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
            // Redis loses its script cache on restart.
            return cause instanceof RedisNoScriptException
                    ? redis.async().<List<Object>>eval(text, ScriptOutputType.MULTI, keys, values)
                    : CompletableFuture.failedFuture(cause);
        });
    }

    /** Runs the script and waits for its result. */
    public List<Object> runSync(Redis redis, List<String> arguments) {
        return Redis.await(run(redis, arguments));
    }
}
