package io.aitbc.worker;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The examples in the Javadoc compile. */
class JavadocExampleTest {
    private static final Pattern EXAMPLE = Pattern.compile("<pre>\\{@code\n(.*?)\n *\\* }</pre>", Pattern.DOTALL);

    @TempDir
    Path classes;

    @ParameterizedTest
    @ValueSource(strings = {"AgentWorker", "Handler"})
    void itCompiles(String type) throws IOException {
        Matcher example = EXAMPLE.matcher(Files.readString(Path.of("src/main/java/io/aitbc/worker", type + ".java")));
        assertThat(example.find()).isTrue();
        String code = "import io.aitbc.contracts.*; import io.aitbc.worker.*; import java.util.*;"
                + "class Example { void run() {"
                + example.group(1).replaceAll("(?m)^ *\\*", "") + "} }";

        DiagnosticCollector<JavaFileObject> problems = new DiagnosticCollector<>();
        boolean compiled = Objects.requireNonNull(ToolProvider.getSystemJavaCompiler())
                .getTask(
                        null,
                        null,
                        problems,
                        List.of("-d", classes.toString(), "-proc:none"),
                        null,
                        List.of(source(code)))
                .call();

        assertThat(compiled).as("%s in %s", problems.getDiagnostics(), code).isTrue();
    }

    private static JavaFileObject source(String code) {
        return new SimpleJavaFileObject(URI.create("string:///Example.java"), JavaFileObject.Kind.SOURCE) {
            @Override
            public CharSequence getCharContent(boolean ignoreEncodingErrors) {
                return code;
            }
        };
    }
}
