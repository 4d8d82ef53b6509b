package io.aitbc.coordinator.security;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Heartbeat;
import io.aitbc.contracts.Ids;
import io.aitbc.contracts.TaskHeaders;
import io.aitbc.contracts.TaskResult;
import io.aitbc.coordinator.background.BackgroundService;
import io.aitbc.coordinator.background.Problem;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.TimeUnit;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.header.Header;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.security.authentication.AuthenticationServiceException;

/**
 * Proves over Kafka who wrote a record, where the broker's ACLs end: they do not look into records. An assignment is signed with an HMAC
 * (RFC 2104, SHA-256) of its id and its agent, and a result must repeat it, so that no agent settles a task that another one holds. A heartbeat must carry
 * the key of its agent, or the signature of a coordinator that wrote it. The secret is shared by the coordinators in
 * {@link SecurityTopic}. While security is off, nothing is signed and everything is accepted. Thread-safe.
 */
public final class Signatures implements BackgroundService {
    private static final Logger log = LoggerFactory.getLogger(Signatures.class);
    private static final String KIND = "secret:";
    private static final String ALGORITHM = "HmacSHA256";
    private static final int SECRET_BYTES = 32;
    private static final int ID_BYTES = 6;
    private static final long RETRY_MS = 500;

    private final Optional<On> on;
    private final SecureRandom random = new SecureRandom();
    /**
     * By id. All of them verify, and the first one signs: two coordinators that start at the same time, as the very first, both make one.
     */
    private final NavigableMap<String, SecretKeySpec> secrets = new ConcurrentSkipListMap<>();

    /** What there is while security is on. */
    private record On(SecurityTopic topic, ApiKeys keys) {}

    private Signatures(Optional<On> on) {
        this.on = on;
    }

    Signatures(SecurityTopic topic, ApiKeys keys) {
        this(Optional.of(new On(topic, keys)));
        topic.onRecord(KIND, this::read);
    }

    /** While security is off. */
    public static Signatures none() {
        return new Signatures(Optional.empty());
    }

    private void read(String id, byte @Nullable [] secret) {
        if (secret == null) {
            secrets.remove(id);
        } else if (secret.length == SECRET_BYTES) {
            secrets.put(id, new SecretKeySpec(secret, ALGORITHM));
        } else {
            throw new IllegalArgumentException("a secret of signatures has " + SECRET_BYTES + " bytes");
        }
    }

    /** Returns once there is a secret: without one, no task can be assigned and no result can be validated. */
    @Override
    public void start() throws InterruptedException {
        if (on.isPresent()) {
            start(on.get().topic);
        }
    }

    private void start(SecurityTopic topic) throws InterruptedException {
        topic.awaitLoaded();
        while (secrets.isEmpty()) {
            create(topic);
            if (secrets.isEmpty()) {
                TimeUnit.MILLISECONDS.sleep(RETRY_MS);
            }
        }
    }

    private void create(SecurityTopic topic) throws InterruptedException {
        byte[] secret = new byte[SECRET_BYTES];
        random.nextBytes(secret);
        byte[] id = new byte[ID_BYTES];
        random.nextBytes(id);
        try {
            topic.put(KIND + HexFormat.of().formatHex(id), secret);
        } catch (KafkaException e) {
            log.warn("The secret of signatures was not written, will retry: {}", e.toString());
        }
    }

    @Override
    public void close() {}

    @Override
    public List<Problem> problems() {
        return List.of();
    }

    /** The assignment with its signature. */
    public Assignment sign(Assignment assignment) {
        return on.isEmpty()
                ? assignment
                : assignment.signed(signature(attempt(assignment.assignmentId(), assignment.agentId())));
    }

    /** A result that a coordinator writes for an agent that it has authenticated, with the signature of its assignment. */
    public TaskResult sign(TaskResult result) {
        return on.isEmpty() ? result : result.signed(signature(attempt(result)));
    }

    /** Whether a result is about an assignment that was given to the agent in whose name it is written. */
    public boolean accepts(TaskResult result) {
        return on.isEmpty() || result.signature() != null && isSignature(result.signature(), attempt(result));
    }

    /** Signs a heartbeat that a coordinator writes for an agent. */
    public void sign(ProducerRecord<String, byte[]> heartbeat) {
        if (on.isPresent()) {
            byte[] signature = signature(heartbeat(heartbeat.value())).getBytes(StandardCharsets.UTF_8);
            heartbeat.headers().add(TaskHeaders.SIGNATURE, signature);
        }
    }

    /** Whether a heartbeat comes from the agent that it names, or from a coordinator. */
    public boolean accepts(ConsumerRecord<byte[], byte[]> record, Heartbeat heartbeat) {
        if (on.isEmpty()) {
            return true;
        }
        String signature = header(record, TaskHeaders.SIGNATURE);
        if (signature != null) {
            return isSignature(signature, heartbeat(record.value()));
        }
        String key = header(record, TaskHeaders.API_KEY);
        return key != null
                && on.get()
                        .keys
                        .find(key)
                        .filter(caller -> caller.role() == Role.AGENT || caller.role() == Role.ADMIN)
                        .filter(caller -> caller.mayActAs(heartbeat.agentId()))
                        .isPresent();
    }

    private static @Nullable String header(ConsumerRecord<?, ?> record, String name) {
        Header header = record.headers().lastHeader(name);
        return header == null || header.value() == null ? null : new String(header.value(), StandardCharsets.UTF_8);
    }

    /** @throws AuthenticationServiceException before the start has ended */
    private String signature(byte[] of) {
        Map.Entry<String, SecretKeySpec> first = secrets.firstEntry();
        if (first == null) {
            throw SecurityTopic.notLoaded();
        }
        return text(first.getValue(), of);
    }

    private boolean isSignature(String text, byte[] of) {
        byte[] given = text.getBytes(StandardCharsets.UTF_8);
        return secrets.values().stream()
                .anyMatch(
                        secret -> MessageDigest.isEqual(given, text(secret, of).getBytes(StandardCharsets.UTF_8)));
    }

    private static byte[] attempt(TaskResult result) {
        return attempt(Assignment.id(result.taskId(), result.attempt()), result.agentId());
    }

    /** Ids contain no spaces, see {@link Ids}. */
    private static byte[] attempt(String assignmentId, String agentId) {
        return ("assignment " + assignmentId + " " + agentId).getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] heartbeat(byte @Nullable [] value) {
        byte[] kind = "heartbeat ".getBytes(StandardCharsets.UTF_8);
        byte[] rest = value == null ? new byte[0] : value;
        byte[] all = new byte[kind.length + rest.length];
        System.arraycopy(kind, 0, all, 0, kind.length);
        System.arraycopy(rest, 0, all, kind.length, rest.length);
        return all;
    }

    private static String text(SecretKeySpec secret, byte[] of) {
        try {
            Mac mac = Mac.getInstance(ALGORITHM);
            mac.init(secret);
            return Base64.getUrlEncoder().withoutPadding().encodeToString(mac.doFinal(of));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }
}
