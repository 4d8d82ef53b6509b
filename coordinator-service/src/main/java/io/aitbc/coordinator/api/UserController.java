package io.aitbc.coordinator.api;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.aitbc.coordinator.audit.AuditNote;
import io.aitbc.coordinator.security.AccessRules;
import io.aitbc.coordinator.security.Role;
import io.aitbc.coordinator.security.Users;
import io.swagger.v3.oas.annotations.Operation;
import io.swagger.v3.oas.annotations.tags.Tag;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;

/** Roles of local users, with the paths and fields of the AITBC coordinator. A permission is the method and path of an endpoint. */
@RestController
@RequestMapping({"", "/v1"})
@Tag(name = "security")
class UserController {
    private final Users users;

    UserController(Users users) {
        this.users = users;
    }

    record RoleDescription(
            @JsonProperty("description") String description,
            @JsonProperty("permissions") List<String> permissions,
            @JsonProperty("total_permissions") int totalPermissions) {
        static RoleDescription of(Role role) {
            List<String> permissions = AccessRules.permissions(role);
            return new RoleDescription(role.description(), permissions, permissions.size());
        }
    }

    record Roles(
            @JsonProperty("status") String status,
            @JsonProperty("total_roles") int totalRoles,
            @JsonProperty("roles") Map<String, RoleDescription> roles) {}

    @GetMapping("/roles")
    @Operation(
            summary = "List the roles and what they may do",
            description = "Includes the AITBC coordinator's names of roles.")
    Roles roles() {
        Map<String, RoleDescription> roles = new LinkedHashMap<>();
        Arrays.stream(Role.values()).forEach(role -> roles.put(role.wireName(), RoleDescription.of(role)));
        Role.ALIASES.forEach((alias, role) -> roles.put(alias, RoleDescription.of(role)));
        return new Roles("success", roles.size(), roles);
    }

    record OneRole(
            @JsonProperty("status") String status,
            @JsonProperty("role") String role,
            @JsonProperty("permissions") List<String> permissions,
            @JsonProperty("total_permissions") int totalPermissions) {}

    @GetMapping("/roles/{role}")
    @Operation(summary = "Get what a role may do")
    OneRole role(@PathVariable("role") String role) {
        List<String> permissions = AccessRules.permissions(parse(role));
        return new OneRole("success", role, permissions, permissions.size());
    }

    record UserRole(
            @JsonProperty("status") String status,
            @JsonProperty("user_id") String userId,
            @JsonProperty("role") String role,
            @JsonProperty("permissions") List<String> permissions) {
        static UserRole of(Users.User user) {
            return new UserRole("success", user.id(), user.roleName(), AccessRules.permissions(user.role()));
        }
    }

    @GetMapping("/users/{user_id}/role")
    @Operation(summary = "Get the role of a user")
    UserRole userRole(@PathVariable("user_id") @Id String userId) {
        return users.find(userId)
                .map(UserRole::of)
                .orElseThrow(() -> new ResponseStatusException(HttpStatus.NOT_FOUND, "User role not found"));
    }

    @PostMapping("/users/{user_id}/role")
    @Operation(
            summary = "Assign a role to a user",
            description = "It replaces the configured role on all coordinators, at once, and outlives restarts.")
    UserRole assignRole(@PathVariable("user_id") @Id String userId, @RequestParam(name = "role") String role)
            throws InterruptedException {
        try {
            Users.User user = users.assign(userId, role);
            AuditNote.current().put("role", user.roleName());
            return UserRole.of(user);
        } catch (IllegalArgumentException e) {
            throw new ResponseStatusException(HttpStatus.BAD_REQUEST, e.getMessage());
        }
    }

    private static Role parse(String role) {
        try {
            return Role.parse(role);
        } catch (IllegalArgumentException e) {
            throw new ResponseStatusException(HttpStatus.BAD_REQUEST, e.getMessage());
        }
    }

    record Stats(
            @JsonProperty("total_permissions") int totalPermissions,
            @JsonProperty("total_roles") int totalRoles,
            @JsonProperty("total_users") long totalUsers,
            @JsonProperty("users_by_role") Map<String, Long> usersByRole) {}

    record StatsAnswer(
            @JsonProperty("status") String status,
            @JsonProperty("stats") Stats stats) {}

    @GetMapping("/auth/stats")
    @Operation(summary = "Count users, roles and permissions")
    StatsAnswer stats() {
        Map<String, Long> byRole = users.countByRole();
        return new StatsAnswer(
                "success",
                new Stats(
                        AccessRules.permissions(Role.ADMIN).size(),
                        Role.values().length,
                        byRole.values().stream().mapToLong(Long::longValue).sum(),
                        byRole));
    }
}
