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
 * Runs a program again, in a process of its own, from copies of its class directories. {@code mvn spring-boot:run} has the directories of
 * the build on the class path; a build in another terminal replaces them, and classes that are loaded later would be missing.
 */
final class Relaunch {
    private static final String COPIED = "quickstart.copied";

    private Relaunch() {}

    /** Whether class directories are on the class path that are not copies. */
    static boolean isNeeded() {
        return System.getProperty(COPIED) == null
                && classPath().stream().map(Path::of).anyMatch(Files::isDirectory);
    }

    /**
     * Returns the exit code of the program when it has ended. Ends it when this process is ended.
     *
     * @param copies replaced if it exists
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
