package io.aitbc.quickstart;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RelaunchTest {
    @TempDir
    private Path folder;

    @Test
    void theProgramRunsFromCopiesAndItsExitCodeIsReturned() throws Exception {
        assertThat(Relaunch.isNeeded()).isTrue();
        Path output = folder.resolve("output");

        int code = Relaunch.run(folder.resolve("copies"), Program.class.getName(), output.toString());

        assertThat(code).isEqualTo(7);
        assertThat(Files.readString(output))
                .contains(folder.resolve("copies").toString())
                .endsWith(" false");
    }

    static final class Program {
        public static void main(String[] arguments) throws Exception {
            Files.writeString(
                    Path.of(arguments[0]),
                    Program.class.getProtectionDomain().getCodeSource().getLocation() + " " + Relaunch.isNeeded());
            System.exit(7);
        }
    }
}
