package io.aitbc.coordinator.redis;

import io.lettuce.core.RedisNoScriptException;
import io.lettuce.core.codec.Base16;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.NestedMultiOutput;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * A Lua script that runs in Redis atomically and returns a flat list of strings and numbers. Its only key is the channel on which
 * it may publish notices. Corrupt keys are quarantined, see {@code guard.lua}, so that they do not make scripts fail.
 */
public final class Script {
    /** Prepended to every script: quarantines corrupt keys. {@link #SHARED} reads and writes records of tasks, and publishes notices. */
    private static final String PRELUDE = text(Script.class, "guard");

    /** Prepended to scripts that must not run while the keys are in another format. */
    private static final String FORMAT = text(Script.class, "format");

    private static final String SHARED = text(Script.class, "record") + text(Script.class, "notice");

    /** Prepended to scripts that count what is used of limits. */
    private static final String LIMITS = text(Script.class, "limits");

    /** Prepended to scripts that grant, settle or end: they fail while agents' assignments are unknown. */
    private static final String COMPLETE = text(Script.class, "complete");

    /** Types of MessagePack. */
    private static final byte ARRAY_32 = (byte) 0xdd;

    private static final byte STRING_8 = (byte) 0xd9;
    private static final byte STRING_32 = (byte) 0xdb;
    /** Longest text of the type with a length of one byte. */
    private static final int MAX_SHORT = 255;
    /** Bytes before a text or an array at most. */
    private static final int MAX_PREFIX = 5;

    private final String text;
    private final String digest;

    private Script(String text) {
        this.text = text;
        this.digest = Base16.digest(text.getBytes(StandardCharsets.UTF_8));
    }

    /** Loads {@code <name>.lua} from the package of a class. */
    public static Script load(Class<?> owner, String name) {
        return new Script(PRELUDE + FORMAT + SHARED + text(owner, name));
    }

    /** Like {@link #load}; the script counts what is used of limits. */
    public static Script loadWithLimits(Class<?> owner, String name) {
        return new Script(PRELUDE + FORMAT + SHARED + LIMITS + text(owner, name));
    }

    /** Like {@link #loadFenced}; the script counts what is used of limits. */
    public static Script loadFencedWithLimits(Class<?> owner, String name) {
        return new Script(PRELUDE + FORMAT + SHARED + LIMITS + COMPLETE + text(owner, name));
    }

    /** Like {@link #load}; the script fails while agents' assignments are unknown, as after Redis was emptied. */
    public static Script loadFenced(Class<?> owner, String name) {
        return new Script(PRELUDE + FORMAT + SHARED + COMPLETE + text(owner, name));
    }

    /** Like {@link #load}; the script also runs while the keys of an earlier version are being converted. */
    public static Script loadForConversion(Class<?> owner, String name) {
        return new Script(PRELUDE + SHARED + text(owner, name));
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
     * Packs texts into one argument, in MessagePack, which a script takes apart by {@code cmsgpack.unpack}: for a batch this costs the client
     * much less than many arguments, and Redis half of what it costs to split one in Lua.
     */
    public static byte[] pack(List<String> texts) {
        byte[][] encoded = new byte[texts.size()][];
        int length = MAX_PREFIX;
        for (int i = 0; i < encoded.length; i++) {
            encoded[i] = texts.get(i).getBytes(StandardCharsets.UTF_8);
            length += MAX_PREFIX + encoded[i].length;
        }
        ByteBuffer packed = ByteBuffer.allocate(length);
        packed.put(ARRAY_32).putInt(encoded.length);
        for (byte[] text : encoded) {
            if (text.length <= MAX_SHORT) {
                packed.put(STRING_8).put((byte) text.length);
            } else {
                packed.put(STRING_32).putInt(text.length);
            }
            packed.put(text);
        }
        return Arrays.copyOf(packed.array(), packed.position());
    }

    /**
     * Runs the script; the future fails if Redis is unavailable or the script has an error.
     *
     * @param arguments texts, or bytes from {@link #pack}
     */
    public CompletableFuture<List<Object>> run(Redis redis, List<?> arguments) {
        CompletableFuture<List<Object>> first;
        try {
            first = run(redis, CommandType.EVALSHA, digest, arguments);
        } catch (RuntimeException e) {
            return CompletableFuture.failedFuture(e);
        }
        return first.exceptionallyCompose(failure -> {
            Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
            // Redis loses its script cache on restart.
            return cause instanceof RedisNoScriptException
                    ? run(redis, CommandType.EVAL, text, arguments)
                    : CompletableFuture.failedFuture(cause);
        });
    }

    private static CompletableFuture<List<Object>> run(
            Redis redis, CommandType command, String script, List<?> arguments) {
        CommandArgs<String, String> all =
                new CommandArgs<>(StringCodec.UTF8).add(script).add(1).addKey(redis.channel(Keys.AGENT_EVENTS));
        for (Object argument : arguments) {
            if (argument instanceof byte[] packed) {
                all.add(packed);
            } else {
                all.addValue((String) argument);
            }
        }
        return redis.async()
                .dispatch(command, new NestedMultiOutput<>(StringCodec.UTF8), all)
                .toCompletableFuture();
    }

    /** Runs the script and waits for its result. */
    public List<Object> runSync(Redis redis, List<?> arguments) {
        return Redis.await(run(redis, arguments));
    }
}
