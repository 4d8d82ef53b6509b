package io.aitbc.localstack;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Starts and inspects other JVMs. */
public final class JavaProcess {
    /** Starts any class of an executable jar; {@code java -jar} starts only the one named in the jar. */
    private static final String JAR_LAUNCHER = "org.springframework.boot.loader.launch.PropertiesLauncher";

    private JavaProcess() {}

    /**
     * Returns a builder for a JVM that runs {@code main} on this JVM's class path, which may be an executable jar of Spring Boot.
     *
     * @param options JVM options, such as {@code -Xmx512m}
     */
    public static ProcessBuilder of(Class<?> main, List<String> options, List<String> arguments) {
        String classPath = System.getProperty("java.class.path");
        List<String> command = new ArrayList<>();
        command.add(tool("java"));
        command.addAll(options);
        command.addAll(
                classPath.endsWith(".jar") && !classPath.contains(File.pathSeparator)
                        ? List.of("-Dloader.main=" + main.getName(), "-cp", classPath, JAR_LAUNCHER)
                        : List.of("-cp", classPath, main.getName()));
        command.addAll(arguments);
        return new ProcessBuilder(command);
    }

    /** Returns a builder for a JVM that runs an executable jar. */
    public static ProcessBuilder of(Path jar, List<String> options, List<String> arguments) {
        List<String> command = new ArrayList<>();
        command.add(tool("java"));
        command.addAll(options);
        command.addAll(List.of("-jar", jar.toString()));
        command.addAll(arguments);
        return new ProcessBuilder(command);
    }

    private static String tool(String name) {
        return Path.of(System.getProperty("java.home"), "bin", name).toString();
    }

    /** Returns the size of the live heap of a JVM. Triggers a full garbage collection in that JVM. */
    public static long liveHeapBytes(long pid) {
        try {
            Process histogram = new ProcessBuilder(tool("jcmd"), "" + pid, "GC.class_histogram")
                    .redirectErrorStream(true)
                    .start();
            return histogram
                    .inputReader()
                    .lines()
                    .filter(line -> line.startsWith("Total"))
                    .mapToLong(line -> Long.parseLong(line.trim().split(" +")[2]))
                    .findFirst()
                    .orElseThrow();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
