package io.aitbc.coordinator.api;

import io.swagger.v3.oas.annotations.Hidden;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.actuate.autoconfigure.web.server.ConditionalOnManagementPort;
import org.springframework.boot.actuate.autoconfigure.web.server.ManagementPortType;
import org.springframework.boot.actuate.endpoint.ApiVersion;
import org.springframework.boot.actuate.endpoint.SecurityContext;
import org.springframework.boot.actuate.endpoint.web.WebEndpointResponse;
import org.springframework.boot.actuate.endpoint.web.WebServerNamespace;
import org.springframework.boot.health.actuate.endpoint.HealthDescriptor;
import org.springframework.boot.health.actuate.endpoint.HealthEndpointWebExtension;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;

/** Keeps {@code /actuator/health} where probes expect it, while Spring serves it on the management port. */
@Hidden
@RestController
@ConditionalOnManagementPort(ManagementPortType.DIFFERENT)
class ProbeController {
    private final HealthEndpointWebExtension health;

    ProbeController(HealthEndpointWebExtension health) {
        this.health = health;
    }

    @GetMapping({"/actuator/health", "/actuator/health/{*path}"})
    ResponseEntity<HealthDescriptor> health(@PathVariable(name = "path", required = false) @Nullable String path) {
        String[] names = path == null
                ? new String[0]
                : Arrays.stream(path.split("/")).filter(name -> !name.isEmpty()).toArray(String[]::new);
        WebEndpointResponse<HealthDescriptor> response =
                health.health(ApiVersion.LATEST, WebServerNamespace.SERVER, SecurityContext.NONE, names);
        if (response.getBody() == null) {
            throw new ResponseStatusException(HttpStatus.NOT_FOUND, "no such part of the health");
        }
        return ResponseEntity.status(response.getStatus()).body(response.getBody());
    }
}
