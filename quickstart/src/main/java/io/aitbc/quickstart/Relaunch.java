package io.aitbc.quickstart;

import java.io.File;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.springframework.util.FileSystemUtils;

/**
 * Relaunches a program in a separate process from copies of its class directories. {@code mvn spring-boot:run} puts the build's output
 * directories on the class path; a concurrent build replaces them, and classes not loaded yet would be missing.
 */
final class Relaunch {
    private static final String COPIED = "quickstart.copied";

    private Relaunch() {}

    /** Returns whether the class path contains class directories that are not copies. */
    static boolean isNeeded() {
        return System.getProperty(COPIED) == null
                && classPath().stream().map(Path::of).anyMatch(Files::isDirectory);
    }

    /**
     * Runs the program and returns its exit code. Terminates the program when this process is terminated.
     *
     * @param copies folder for the copies, replaced if it exists
     */
    static int run(Path copies, String mainClass, String... arguments) throws IOException, InterruptedException {
        FileSystemUtils.deleteRecursively(copies);
        List<String> classPath = new ArrayList<>();
        for (String entry : classPath()) {
            if (Files.isDirectory(Path.of(entry))) {
                Path copy = copies.resolve(String.valueOf(classPath.size()));
                Files.createDirectories(copies);
                FileSystemUtils.copyRecursively(Path.of(entry), copy);
                classPath.add(copy.toString());
            } else {
                classPath.add(entry);
            }
        }
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.add("-D" + COPIED + "=true");
        command.add("-cp");
        command.add(String.join(File.pathSeparator, classPath));
        command.add(mainClass);
        command.addAll(List.of(arguments));
        Process program = new ProcessBuilder(command).inheritIO().start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> end(program), "shutdown"));
        return program.waitFor();
    }

    private static void end(Process program) {
        program.destroy();
        try {
            program.waitFor();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static List<String> classPath() {
        return List.of(System.getProperty("java.class.path").split(File.pathSeparator));
    }
}
