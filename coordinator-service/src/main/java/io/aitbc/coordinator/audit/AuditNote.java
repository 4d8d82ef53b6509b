package io.aitbc.coordinator.audit;

import io.aitbc.contracts.Json;
import io.aitbc.coordinator.security.Caller;
import jakarta.servlet.ServletRequest;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.web.context.request.RequestContextHolder;
import org.springframework.web.context.request.ServletRequestAttributes;
import tools.jackson.databind.node.ObjectNode;

/** What only the handler of a request knows, for the request's audit record. Never a secret. Owned by the request's thread. */
public final class AuditNote {
    private static final String ATTRIBUTE = AuditNote.class.getName();

    private final ObjectNode details = Json.object();
    private @Nullable Caller signedIn;
    private @Nullable String reason;
    private boolean isForNothing;

    private AuditNote() {}

    /** The note of the request that this thread handles. */
    public static AuditNote current() {
        return of(((ServletRequestAttributes) RequestContextHolder.currentRequestAttributes()).getRequest());
    }

    /** The note of a request. */
    public static AuditNote of(ServletRequest request) {
        if (request.getAttribute(ATTRIBUTE) == null) {
            request.setAttribute(ATTRIBUTE, new AuditNote());
        }
        return (AuditNote) Objects.requireNonNull(request.getAttribute(ATTRIBUTE));
    }

    /** Adds a detail; null adds nothing. */
    public AuditNote put(String name, @Nullable Object value) {
        if (value != null) {
            details.set(name, Json.tree(value));
        }
        return this;
    }

    /** Names the caller of a request that had no credential before. */
    public void signedIn(Caller caller) {
        signedIn = caller;
    }

    /** Why the request is refused, or has failed. */
    public void failed(@Nullable String why) {
        reason = why;
    }

    /** The request changed nothing: no record. */
    public void unchanged() {
        isForNothing = true;
    }

    ObjectNode details() {
        return details;
    }

    @Nullable
    Caller signedIn() {
        return signedIn;
    }

    @Nullable
    String reason() {
        return reason;
    }

    boolean isForNothing() {
        return isForNothing;
    }
}
