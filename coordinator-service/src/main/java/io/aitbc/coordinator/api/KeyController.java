package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.coordinator.audit.AuditNote;
import io.aitbc.coordinator.security.ApiKeys;
import io.aitbc.coordinator.security.NewKey;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.media.Content;
import io.swagger.v3.oas.annotations.media.Schema;
import io.swagger.v3.oas.annotations.tags.Tag;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;
import tools.jackson.databind.node.ObjectNode;

@RestController
@RequestMapping({"/keys", "/v1/keys"})
@Tag(name = "security", description = "API keys and sessions")
class KeyController {
    private final ApiKeys keys;
    private final Clock clock;

    KeyController(ApiKeys keys, Clock clock) {
        this.keys = keys;
        this.clock = clock;
    }

    record Created(
            @JsonProperty("status") String status,
            @JsonProperty("api_key") String apiKey,
            @JsonProperty("key") ApiKeys.Key key) {}

    @PostMapping
    @Operation(
            summary = "Create an API key; `api_key` is shown this once",
            description = "Unknown fields are refused: a key with an expiry that was misspelt would never expire.")
    Created create(
            @io.swagger.v3.oas.annotations.parameters.RequestBody(
                            required = true,
                            content = @Content(schema = @Schema(implementation = NewKey.class)))
                    @RequestBody
                    ObjectNode body)
            throws InterruptedException {
        ApiKeys.Created created =
                keys.create(Body.read(body, NewKey.class, true).message());
        AuditNote.current()
                .put("key_id", created.key().keyId())
                .put("name", created.key().name())
                .put("role", created.key().role())
                .put("agent_id", created.key().agentId())
                .put("fairness_key", created.key().fairnessKey())
                .put("expires_at", created.key().expiresAt());
        return new Created("success", created.secret(), created.key());
    }

    record KeyList(
            @JsonProperty("status") String status,
            @JsonProperty("keys") List<ApiKeys.Key> keys,
            @JsonProperty("count") int count,
            @JsonProperty("timestamp") Instant timestamp) {}

    @GetMapping
    @Operation(summary = "List the API keys, oldest first")
    KeyList list() {
        List<ApiKeys.Key> all = keys.all();
        return new KeyList("success", all, all.size(), clock.instant());
    }

    record Revoked(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message,
            @JsonProperty("key_id") String keyId,
            @JsonProperty("timestamp") Instant timestamp) {}

    @DeleteMapping("/{key_id}")
    @Operation(summary = "Revoke an API key on all coordinators")
    Revoked revoke(@PathVariable("key_id") @Id String keyId) throws InterruptedException {
        @Nullable
        String agentId = keys.all().stream()
                .filter(key -> key.keyId().equals(keyId))
                .map(ApiKeys.Key::agentId)
                .filter(Objects::nonNull)
                .findFirst()
                .orElse(null);
        if (!keys.revoke(keyId)) {
            throw new ResponseStatusException(HttpStatus.NOT_FOUND, "Key not found");
        }
        // Nothing of it is accepted any more, but it would be assigned tasks until it is stale.
        String registered = agentId == null || agentId.endsWith("*")
                ? ""
                : "; agent " + agentId + " stays registered: DELETE /agents/" + agentId + " ends its assignments";
        return new Revoked("success", "Key " + keyId + " revoked" + registered, keyId, clock.instant());
    }
}
