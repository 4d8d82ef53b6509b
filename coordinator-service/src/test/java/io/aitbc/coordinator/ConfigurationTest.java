package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.coordinator.dispatch.DispatchSettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.env.YamlPropertySourceLoader;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.core.env.SystemEnvironmentPropertySource;
import org.springframework.core.io.ClassPathResource;

/** {@code application.yml} contains all settings, each with a comment; the documentation is generated from it. */
class ConfigurationTest {
    private static final Path TABLE = Path.of("..", "docs", "configuration.md");
    private static final Pattern GROUP = Pattern.compile(" {2}([a-z]+):");
    private static final Pattern COMMENT = Pattern.compile(" +# (.*)");
    private static final Pattern SETTING =
            Pattern.compile("(?: {2}| {4})([a-z-]+): (?:\\$\\{(\\w+):(.*)}|\"?(.*?)\"?)");

    @Test
    void theDocumentationHasEverySetting() throws IOException {
        assertThat(Files.readAllLines(TABLE)).containsSequence(rows());
    }

    @ParameterizedTest
    @ValueSource(strings = {"AITBC_DISPATCH_MAX_INDEXED", "AITBC_DISPATCH_MAXINDEXED"})
    void aVariableIsReadWithItsInnerUnderscoresAndWithout(String variable) throws IOException {
        StandardEnvironment environment = new StandardEnvironment();
        environment
                .getPropertySources()
                .addFirst(new SystemEnvironmentPropertySource(
                        StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME, Map.of(variable, "17")));
        new YamlPropertySourceLoader()
                .load("application", new ClassPathResource("application.yml"))
                .forEach(environment.getPropertySources()::addLast);
        assertThat(Binder.get(environment)
                        .bind("aitbc.dispatch", DispatchSettings.class)
                        .get()
                        .maxIndexed())
                .isEqualTo(17);
    }

    private static List<String> rows() throws IOException {
        List<String> rows = new ArrayList<>();
        String group = "";
        String comment = "";
        for (String line : Files.readAllLines(Path.of("src", "main", "resources", "application.yml"))) {
            if (line.equals("spring:")) {
                break;
            }
            Matcher setting = SETTING.matcher(line);
            Matcher groupMatcher = GROUP.matcher(line);
            Matcher commentMatcher = COMMENT.matcher(line);
            if (groupMatcher.matches()) {
                group = groupMatcher.group(1) + ".";
            } else if (commentMatcher.matches()) {
                comment = commentMatcher.group(1);
            } else if (setting.matches()) {
                rows.add(row(line.startsWith("    ") ? group : "", comment, setting));
            }
        }
        return rows;
    }

    private static String row(String group, String comment, Matcher setting) {
        String name = setting.group(1);
        String variable = "AITBC_"
                + (group + name).toUpperCase(Locale.ROOT).replace('-', '_').replace('.', '_');
        if (setting.group(2) != null) {
            assertThat(setting.group(2)).isEqualTo(variable);
        }
        String value = setting.group(2) == null ? setting.group(4) : setting.group(3);
        return "| `%s` | `aitbc.%s%s` | %s | %s |".formatted(variable, group, name, value, comment);
    }
}
