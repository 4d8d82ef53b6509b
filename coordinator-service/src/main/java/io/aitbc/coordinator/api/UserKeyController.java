package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.contracts.Ids;
import io.aitbc.coordinator.audit.AuditNote;
import io.aitbc.coordinator.security.AccessRules;
import io.aitbc.coordinator.security.ApiKeys;
import io.aitbc.coordinator.security.Caller;
import io.aitbc.coordinator.security.InvalidCredentialException;
import io.aitbc.coordinator.security.RateLimits;
import io.aitbc.coordinator.security.Role;
import io.aitbc.coordinator.security.Users;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.tags.Tag;
import jakarta.servlet.http.HttpServletRequest;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;
import tools.jackson.databind.JsonNode;

/** API keys of users, with the paths and fields of the AITBC coordinator. They are the keys of {@link KeyController}. */
@RestController
@RequestMapping({"/auth/api-key", "/v1/auth/api-key"})
@Tag(name = "security")
class UserKeyController {
    /** What the AITBC coordinator's permissions to read end with. */
    private static final Set<String> READS = Set.of("view", "stats", "discover", "health");

    private final ApiKeys keys;
    private final Users users;
    private final RateLimits limits;

    UserKeyController(ApiKeys keys, Users users, RateLimits limits) {
        this.limits = limits;
        this.keys = keys;
        this.users = users;
    }

    record Generated(
            @JsonProperty("status") String status,
            @JsonProperty("api_key") String apiKey,
            @JsonProperty("key_id") String keyId,
            @JsonProperty("user_id") String userId,
            @JsonProperty("role") Role role,
            @JsonProperty("permissions") List<String> permissions,
            @JsonProperty("created_at") Instant createdAt) {}

    @PostMapping("/generate")
    @Operation(
            summary = "Create an API key for a user",
            description =
                    "It has the role that the user has whenever it is used. Role viewer if the user has none, or if the body lists permissions and all of"
                            + " them only read, such as `task:view`.")
    Generated generate(
            @RequestParam(name = "user_id", required = false) @Nullable String userId,
            @RequestBody(required = false) @Nullable JsonNode body)
            throws InterruptedException {
        String user = given("user_id", userId, body);
        if (!user.matches(Ids.PATTERN)) {
            throw Problems.unprocessable("user_id " + Ids.RULE);
        }
        JsonNode permissions = body == null || body.isArray() ? body : body.get("permissions");
        Role role = onlyReads(permissions)
                ? Role.VIEWER
                : users.find(user).map(Users.User::role).orElse(Role.VIEWER);
        ApiKeys.Created created = keys.createOfUser(user, role);
        AuditNote.current()
                .put("key_id", created.key().keyId())
                .put("name", user)
                .put("role", role);
        return new Generated(
                "success",
                created.secret(),
                created.key().keyId(),
                user,
                role,
                AccessRules.permissions(role),
                created.key().createdAt());
    }

    private static boolean onlyReads(@Nullable JsonNode permissions) {
        return permissions != null
                && !permissions.isEmpty()
                && StreamSupport.stream(permissions.spliterator(), false)
                        .allMatch(one -> one.isString() && isRead(one.asString()));
    }

    private static boolean isRead(String permission) {
        return READS.contains(permission.substring(permission.lastIndexOf(':') + 1));
    }

    record ValidatedKey(
            @JsonProperty("status") String status,
            @JsonProperty("valid") boolean valid,
            @JsonProperty("user_id") String userId,
            @JsonProperty("role") Role role,
            @JsonProperty("permissions") List<String> permissions) {}

    @PostMapping("/validate")
    @Operation(
            summary = "Get whose key it is; 401 if it is not valid",
            description = "Send it in the body: proxies log query strings.")
    ValidatedKey validate(
            @RequestParam(name = "api_key", required = false) @Nullable String apiKey,
            @RequestBody(required = false) @Nullable JsonNode body,
            HttpServletRequest request) {
        Caller caller = keys.find(given("api_key", apiKey, body)).orElseThrow(() -> {
            limits.failed(request.getRemoteAddr());
            return new InvalidCredentialException("Invalid API key");
        });
        return new ValidatedKey("success", true, caller.name(), caller.role(), AccessRules.permissions(caller.role()));
    }

    /** A value of the query, or of the body. */
    private static String given(String name, @Nullable String parameter, @Nullable JsonNode body) {
        if (parameter == null && (body == null || !body.path(name).isString())) {
            throw Problems.unprocessable(name + " is required");
        }
        return parameter == null ? Objects.requireNonNull(body).get(name).asString() : parameter;
    }

    record RevokedKey(
            @JsonProperty("status") String status,
            @JsonProperty("message") String message) {}

    @DeleteMapping("/{api_key}")
    @Operation(
            summary = "Revoke an API key on all coordinators",
            description = "Give its id rather than the key itself: proxies log paths.")
    RevokedKey revoke(@PathVariable("api_key") @Id String apiKey) throws InterruptedException {
        @Nullable String keyId = keys.find(apiKey).map(Caller::keyId).orElse(apiKey);
        if (keyId == null || !keys.revoke(keyId)) {
            throw new ResponseStatusException(HttpStatus.NOT_FOUND, "API key not found");
        }
        AuditNote.current().put("key_id", keyId);
        return new RevokedKey("success", "API key revoked");
    }
}
