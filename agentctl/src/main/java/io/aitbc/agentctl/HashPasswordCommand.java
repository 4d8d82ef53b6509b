package io.aitbc.agentctl;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.springframework.security.crypto.bcrypt.BCryptPasswordEncoder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "hash-password",
        description = {
            "Reads a password, and writes its bcrypt hash, for a user of AITBC_USERS_FILE.",
            "With USER:ROLE, it writes the line of that user."
        },
        sortOptions = false)
final class HashPasswordCommand implements Callable<Integer> {
    private static final int MIN_LENGTH = 8;

    private final Agentctl agentctl;

    @Parameters(arity = "0..1", paramLabel = "USER:ROLE", description = "Such as ada:operator")
    private @Nullable String user;

    @Option(
            names = "--file",
            paramLabel = "FILE",
            description = "Appends the line to this file; only its owner can read a new one")
    private @Nullable Path file;

    HashPasswordCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    @Override
    public Integer call() {
        if (user != null && !user.matches("[^:]+:[^:]+") || user == null && file != null) {
            throw new CommandFailedException("USER:ROLE must be a name and a role, such as ada:operator.");
        }
        String password = agentctl.terminal().readPassword();
        if (password.length() < MIN_LENGTH) {
            throw new CommandFailedException("A password must have at least " + MIN_LENGTH + " characters.");
        }
        String line;
        try {
            line = (user == null ? "" : user + ":") + new BCryptPasswordEncoder().encode(password);
        } catch (IllegalArgumentException e) {
            throw new CommandFailedException("A password must have at most 72 bytes.");
        }
        if (file == null) {
            agentctl.terminal().out().println(line);
        } else {
            append(file, line);
        }
        return 0;
    }

    private static void append(Path file, String line) {
        try {
            if (!Files.exists(file)) {
                Files.createFile(file, ownerOnly());
            }
            Files.writeString(file, line + "\n", StandardCharsets.UTF_8, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new CommandFailedException("Cannot write the file " + file + ".");
        }
    }

    /** None where the file system has no such permissions, as on Windows. */
    private static FileAttribute<?>[] ownerOnly() {
        return FileSystems.getDefault().supportedFileAttributeViews().contains("posix")
                ? new FileAttribute<?>[] {
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
                }
                : new FileAttribute<?>[0];
    }
}
