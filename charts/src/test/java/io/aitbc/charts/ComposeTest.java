package io.aitbc.charts;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.client.utils.KubernetesSerialization;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** What the compose files name exists. Docker itself is needed to run them. */
class ComposeTest {
    private static final Path TOP = Path.of("..");
    private static final String BASE = "docker-compose.yml";
    private static final String CLUSTER = "docker-compose.cluster.yml";
    private static final KubernetesSerialization YAML = new KubernetesSerialization();
    /** A version, not a tag that moves. */
    private static final Pattern PINNED = Pattern.compile("[a-z/]+:v?\\d+(\\.\\d+)*(-alpine)?");

    @ParameterizedTest
    @ValueSource(strings = {BASE, CLUSTER})
    void imagesArePinned(String file) throws IOException {
        assertThat(read(file).findValues("image"))
                .isNotEmpty()
                .allSatisfy(image -> assertThat(image.asString()).matches(PINNED));
    }

    @ParameterizedTest
    @ValueSource(strings = {BASE, CLUSTER})
    void mountedFilesExist(String file) throws IOException {
        for (JsonNode service : services(file)) {
            for (JsonNode volume : service.path("volumes")) {
                String source = volume.asString().split(":")[0];
                if (source.startsWith(".")) {
                    assertThat(TOP.resolve(source)).isRegularFile();
                } else {
                    assertThat(read(file).path("volumes").has(source))
                            .as("volume %s", source)
                            .isTrue();
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {BASE, CLUSTER})
    void settingsExist(String file) throws IOException {
        String documented = Files.readString(TOP.resolve("docs").resolve("configuration.md"));
        assertThat(read(file).findValues("environment").stream()
                        .flatMap(environment -> environment.propertyNames().stream())
                        .filter(name -> name.startsWith("AITBC_")))
                .isNotEmpty()
                .allSatisfy(name -> assertThat(documented).contains("`" + name + "`"));
    }

    @Test
    void servicesThatOthersDependOnExist() throws IOException {
        Set<String> names = new HashSet<>(services(BASE).propertyNames());
        names.addAll(services(CLUSTER).propertyNames());
        for (String file : List.of(BASE, CLUSTER)) {
            for (JsonNode service : services(file)) {
                assertThat(names).containsAll(service.path("depends_on").propertyNames());
            }
        }
    }

    /** Whatever is published is for this machine alone: nothing has a password. */
    @ParameterizedTest
    @ValueSource(strings = {BASE, CLUSTER})
    void portsAreOnTheLoopbackInterface(String file) throws IOException {
        for (JsonNode service : services(file)) {
            for (JsonNode port : service.path("ports")) {
                assertThat(port.asString()).startsWith("127.0.0.1:");
            }
        }
    }

    private static JsonNode services(String file) throws IOException {
        return read(file).get("services");
    }

    private static JsonNode read(String file) throws IOException {
        Map<?, ?> content = YAML.unmarshal(Files.readString(TOP.resolve(file)), Map.class);
        return YAML.convertValue(content, JsonNode.class);
    }
}
