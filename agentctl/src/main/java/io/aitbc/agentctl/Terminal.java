package io.aitbc.agentctl;

import java.io.BufferedReader;
import java.io.Console;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.function.BooleanSupplier;
import picocli.CommandLine;

/**
 * The input and output of a command, and whether a person is at the terminal.
 *
 * @param canAsk whether a person can answer a prompt
 * @param hidesInput whether Java can hide what that person types: only if the output is a terminal too
 * @param showsProgress whether standard error is a terminal, where lines can be overwritten
 */
record Terminal(
        BufferedReader in,
        PrintWriter out,
        PrintWriter err,
        BooleanSupplier canAsk,
        BooleanSupplier hidesInput,
        BooleanSupplier showsProgress) {

    /** Uses UTF-8 regardless of the locale, because JSON is UTF-8. */
    static Terminal system() {
        return new Terminal(
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)),
                writer(FileDescriptor.out),
                writer(FileDescriptor.err),
                () -> isTerminal(0) && isTerminal(2),
                () -> isTerminal(0) && isTerminal(1),
                () -> isTerminal(2));
    }

    boolean confirms(String question) {
        err.print(question + " [y/N] ");
        err.flush();
        try {
            String answer = in.readLine();
            return answer != null && answer.strip().matches("(?i)y|yes");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Asks for a new password, twice, without showing it; reads the first line where there is nobody to ask.
     *
     * @throws CommandFailedException if it would be shown, or the two differ
     */
    String readPassword() {
        if (!canAsk.getAsBoolean()) {
            try {
                return Objects.requireNonNullElse(in.readLine(), "");
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        if (!hidesInput.getAsBoolean()) {
            throw new CommandFailedException(
                    "The password would be shown, because the output is not the terminal: use --file.");
        }
        Console console = Objects.requireNonNull(System.console());
        String password = ask(console, "Password: ");
        if (!ask(console, "Again: ").equals(password)) {
            throw new CommandFailedException("The two passwords differ.");
        }
        return password;
    }

    private String ask(Console console, String prompt) {
        err.print(prompt);
        err.flush();
        char[] password = console.readPassword();
        return password == null ? "" : new String(password);
    }

    private static PrintWriter writer(FileDescriptor descriptor) {
        return new PrintWriter(new OutputStreamWriter(new FileOutputStream(descriptor), StandardCharsets.UTF_8), true);
    }

    /** Checks one file descriptor; Java only reports whether input and output are both terminals. */
    private static boolean isTerminal(int descriptor) {
        try {
            return new ProcessBuilder("test", "-t", String.valueOf(descriptor))
                            .inheritIO()
                            .start()
                            .waitFor()
                    == 0;
        } catch (IOException e) {
            // Fallback where the test program is missing, as on Windows.
            return CommandLine.Help.Ansi.AUTO.enabled();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }
}
