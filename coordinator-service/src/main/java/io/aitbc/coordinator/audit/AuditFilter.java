package io.aitbc.coordinator.audit;

import io.aitbc.contracts.AuditRecord;
import io.aitbc.contracts.Json;
import io.aitbc.coordinator.security.AccessRules;
import io.aitbc.coordinator.security.Caller;
import io.aitbc.coordinator.security.Credentials;
import io.aitbc.coordinator.security.Role;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.time.Clock;
import java.util.Optional;
import java.util.UUID;
import org.springframework.http.HttpStatus;
import org.springframework.http.HttpStatusCode;
import org.springframework.security.core.Authentication;
import org.springframework.security.web.context.RequestAttributeSecurityContextRepository;
import org.springframework.web.filter.OncePerRequestFilter;
import tools.jackson.databind.node.ObjectNode;

/**
 * Records what {@link AccessRules} calls an action, unless it is refused as invalid; refused credentials and sign-ins; and refused
 * permissions. Around all other filters, so that a new endpoint cannot avoid it. Neither queries nor bodies are recorded.
 */
final class AuditFilter extends OncePerRequestFilter {
    /** The only variable of a path that holds a secret. The handler notes the id of the key. */
    private static final String SECRET_VARIABLE = "api_key";

    private final AuditTrail trail;
    private final boolean isSecurityOn;
    private final Clock clock;
    private final RequestAttributeSecurityContextRepository contexts = new RequestAttributeSecurityContextRepository();

    AuditFilter(AuditTrail trail, boolean isSecurityOn, Clock clock) {
        this.trail = trail;
        this.isSecurityOn = isSecurityOn;
        this.clock = clock;
    }

    /** A response may be written after another thread has computed it. */
    @Override
    protected boolean shouldNotFilterAsyncDispatch() {
        return false;
    }

    @Override
    protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        int status = HttpStatus.INTERNAL_SERVER_ERROR.value();
        try {
            chain.doFilter(request, response);
            status = response.getStatus();
        } finally {
            // Not only by Spring, which the superclass asks: a body may be awaited.
            if (!request.isAsyncStarted()) {
                record(request, HttpStatusCode.valueOf(status));
            }
        }
    }

    private void record(HttpServletRequest request, HttpStatusCode status) {
        if (status.isSameCodeAs(HttpStatus.UNAUTHORIZED)) {
            Optional<AccessRules.Match> match = AccessRules.match(request);
            // What is public has the credential in its body.
            if (Credentials.areIn(request)
                    || match.filter(found -> found.rule().isPublic()).isPresent()) {
                trail.refused(recordOf(request, status, match));
            }
        } else if (status.isSameCodeAs(HttpStatus.FORBIDDEN)) {
            trail.refused(recordOf(request, status, AccessRules.match(request)));
        } else if (!request.getMethod().equals("GET") && (status.is2xxSuccessful() || status.is5xxServerError())) {
            // What ended with an error of the server may have been done.
            Optional<AccessRules.Match> match = AccessRules.match(request);
            // Agents act for themselves all the time.
            if (match.filter(found -> found.rule().isRecorded()).isPresent()
                    && !isAgent(caller(request))
                    && !AuditNote.of(request).isForNothing()) {
                trail.done(recordOf(request, status, match));
            }
        }
    }

    private static boolean isAgent(Caller caller) {
        return caller.role() == Role.AGENT && !caller.equals(Caller.NOBODY);
    }

    private AuditRecord recordOf(HttpServletRequest request, HttpStatusCode status, Optional<AccessRules.Match> match) {
        AuditNote note = AuditNote.of(request);
        Caller caller = caller(request);
        ObjectNode details = Json.object();
        match.ifPresent(found -> found.variables().forEach((name, value) -> {
            if (!name.equals(SECRET_VARIABLE)) {
                details.put(name, Json.sentence(value));
            }
        }));
        details.setAll(note.details());
        String peer = PeerAddressValve.addressOf(request);
        String client = request.getRemoteAddr();
        return new AuditRecord(
                UUID.randomUUID().toString(),
                clock.instant(),
                caller.equals(Caller.NOBODY)
                        ? null
                        : new AuditRecord.Caller(
                                caller.name(),
                                caller.role().wireName(),
                                caller.keyId(),
                                caller.agentId(),
                                caller.fairnessKey()),
                peer,
                client.equals(peer) ? null : Json.sentence(client),
                match.map(found -> found.rule().endpoint()).orElse(null),
                details.isEmpty() ? null : details,
                status.value(),
                status.isError() ? note.reason() : null,
                null);
    }

    private Caller caller(HttpServletRequest request) {
        Caller signedIn = AuditNote.of(request).signedIn();
        if (signedIn != null) {
            return signedIn;
        }
        if (!isSecurityOn) {
            return Caller.ANYONE;
        }
        Authentication authentication =
                contexts.loadDeferredContext(request).get().getAuthentication();
        return authentication == null ? Caller.NOBODY : Caller.of(authentication);
    }
}
