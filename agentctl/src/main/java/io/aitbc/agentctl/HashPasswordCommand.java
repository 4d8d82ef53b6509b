package io.aitbc.agentctl;

import java.util.concurrent.Callable;
import org.springframework.security.crypto.bcrypt.BCryptPasswordEncoder;
import picocli.CommandLine.Command;

@Command(
        name = "hash-password",
        description = "Reads a password, and writes its bcrypt hash, for a user of AITBC_USERS_FILE.",
        sortOptions = false)
final class HashPasswordCommand implements Callable<Integer> {
    private static final int MIN_LENGTH = 8;

    private final Agentctl agentctl;

    HashPasswordCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    @Override
    public Integer call() {
        String password = agentctl.terminal().readPassword();
        if (password.length() < MIN_LENGTH) {
            throw new CommandFailedException("A password must have at least " + MIN_LENGTH + " characters.");
        }
        try {
            agentctl.terminal().out().println(new BCryptPasswordEncoder().encode(password));
        } catch (IllegalArgumentException e) {
            throw new CommandFailedException("A password must have at most 72 bytes.");
        }
        return 0;
    }
}
