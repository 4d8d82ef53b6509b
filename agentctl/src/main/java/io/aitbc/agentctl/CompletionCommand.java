package io.aitbc.agentctl;

import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.AutoComplete;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

@Command(
        name = "completion",
        description = "Prints a completion script for the shell: `source <(agentctl completion bash)`.")
final class CompletionCommand implements Callable<Integer> {
    private final Agentctl agentctl;

    @Spec
    private CommandSpec spec;

    @SuppressWarnings("UnusedVariable") // Only for the error message about other shells.
    @Parameters(paramLabel = "SHELL", description = "Shell: ${COMPLETION-CANDIDATES}")
    private Shell shell = Shell.BASH;

    CompletionCommand(Agentctl agentctl) {
        this.agentctl = agentctl;
    }

    /** Both shells get the same script, which detects the shell that sources it. */
    enum Shell {
        BASH,
        ZSH;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    @Override
    public Integer call() {
        agentctl.terminal()
                .out()
                .print(AutoComplete.bash("agentctl", spec.root().commandLine()));
        agentctl.terminal().out().flush();
        return 0;
    }
}
