package io.aitbc.coordinator.security;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/** What {@code operations/kafka/acls.sh} would have Kafka's command create. */
final class KafkaAcls {
    private static final Path SCRIPT = Path.of("..", "operations", "kafka", "acls.sh");

    /** Stands in for Kafka's command: prints how it is called. */
    private static final String COMMAND = """
            #!/bin/sh
            echo "$@"
            """;

    private KafkaAcls() {}

    /**
     * Runs the script.
     *
     * @param folder for the stand-in
     * @param prefix of all topics
     * @param arguments the role, the user, and what the role is about
     */
    static List<AclBinding> of(Path folder, String prefix, String... arguments) {
        try {
            Path command = folder.resolve("kafka-acls.sh");
            Files.writeString(command, COMMAND);
            Files.setPosixFilePermissions(command, PosixFilePermissions.fromString("rwx------"));
            ProcessBuilder builder = new ProcessBuilder(
                            Stream.concat(Stream.of("bash", SCRIPT.toString()), Stream.of(arguments))
                                    .toList())
                    .redirectError(ProcessBuilder.Redirect.INHERIT);
            builder.environment()
                    .putAll(Map.of(
                            "PATH",
                            folder + ":" + System.getenv("PATH"),
                            "AITBC_KAFKA_BOOTSTRAP_SERVERS",
                            "unused",
                            "AITBC_KAFKA_CONFIG",
                            "unused",
                            "AITBC_TOPICS_PREFIX",
                            prefix));
            return builder.start()
                    .inputReader()
                    .lines()
                    .flatMap(line -> bindings(line).stream())
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static List<AclBinding> bindings(String call) {
        String[] words = call.replace("--add ", "").split(" ");
        String principal = "";
        PatternType pattern = PatternType.LITERAL;
        List<AclOperation> operations = new ArrayList<>();
        List<Map.Entry<ResourceType, String>> resources = new ArrayList<>();
        for (int i = 0; i < words.length; i += 2) {
            String value = words[i + 1];
            switch (words[i]) {
                case "--allow-principal" -> principal = value;
                case "--operation" ->
                    operations.add(AclOperation.fromString(value.replaceAll("(?<=[a-z])(?=[A-Z])", "_")));
                case "--resource-pattern-type" -> pattern = PatternType.valueOf(value.toUpperCase(Locale.ROOT));
                case "--topic" -> resources.add(Map.entry(ResourceType.TOPIC, value));
                case "--group" -> resources.add(Map.entry(ResourceType.GROUP, value));
                case "--bootstrap-server", "--command-config" -> {}
                default -> throw new IllegalArgumentException("unknown option " + words[i] + " in: " + call);
            }
        }
        List<AclBinding> bindings = new ArrayList<>();
        for (Map.Entry<ResourceType, String> resource : resources) {
            for (AclOperation operation : operations) {
                bindings.add(new AclBinding(
                        new ResourcePattern(resource.getKey(), resource.getValue(), pattern),
                        new AccessControlEntry(principal, "*", operation, AclPermissionType.ALLOW)));
            }
        }
        return bindings;
    }

    /** The rows of the table in the documentation for one role. */
    static List<String> rows(String role, List<AclBinding> bindings) {
        List<String> rows = new ArrayList<>();
        List<ResourcePattern> resources =
                bindings.stream().map(AclBinding::pattern).distinct().toList();
        for (ResourcePattern resource : resources) {
            List<String> operations = bindings.stream()
                    .filter(binding -> binding.pattern().equals(resource))
                    .map(binding -> capitalized(binding.entry().operation().toString()))
                    .toList();
            rows.add("| %s | %s | `%s`%s | %s |"
                    .formatted(
                            role,
                            resource.resourceType().toString().toLowerCase(Locale.ROOT),
                            resource.name(),
                            resource.patternType() == PatternType.PREFIXED ? "…" : "",
                            String.join(", ", operations)));
        }
        return rows;
    }

    /** As in Kafka's commands: DescribeConfigs for DESCRIBE_CONFIGS. */
    private static String capitalized(String name) {
        return Arrays.stream(name.split("_"))
                .map(word -> word.charAt(0) + word.substring(1).toLowerCase(Locale.ROOT))
                .collect(Collectors.joining());
    }
}
