package io.aitbc.localstack;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Other JVMs that run what this one can. */
public final class JavaProcess {
    private JavaProcess() {}

    /**
     * A JVM on the class path of this one; from an executable jar, that jar, whatever the class.
     *
     * @param options of the JVM, as {@code -Xmx512m}
     */
    public static ProcessBuilder of(Class<?> main, List<String> options, List<String> arguments) {
        String classPath = System.getProperty("java.class.path");
        List<String> command = new ArrayList<>();
        command.add(tool("java"));
        command.addAll(options);
        command.addAll(
                classPath.endsWith(".jar") && !classPath.contains(File.pathSeparator)
                        ? List.of("-jar", classPath)
                        : List.of("-cp", classPath, main.getName()));
        command.addAll(arguments);
        return new ProcessBuilder(command);
    }

    private static String tool(String name) {
        return Path.of(System.getProperty("java.home"), "bin", name).toString();
    }

    /** What is alive on the heap of a JVM, after a full collection, which this causes. */
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
