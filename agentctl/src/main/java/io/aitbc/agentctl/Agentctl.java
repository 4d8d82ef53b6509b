package io.aitbc.agentctl;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import java.io.PrintWriter;
import java.util.function.Consumer;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import picocli.CommandLine.UnmatchedArgumentException;
import tools.jackson.databind.JsonNode;

/** The command line, and what all commands share: where the coordinator is, and how they write. */
@Command(
        name = "agentctl",
        scope = ScopeType.INHERIT,
        mixinStandardHelpOptions = true,
        version = "agentctl 0.1.0",
        description = "Sees and steers a coordinator of AI agents, over REST.",
        sortOptions = false,
        exitCodeListHeading = "Exit codes:%n",
        exitCodeList = {
            "0:it is done",
            "1:the coordinator refused or cannot be reached, or a task that was awaited did not complete",
            "2:the command line is not understood"
        })
public final class Agentctl {
    private static final int FAILED = 1;

    private final Terminal terminal;

    @Spec
    private CommandSpec spec;

    @Option(
            names = "--url",
            paramLabel = "URL",
            scope = ScopeType.INHERIT,
            defaultValue = "${env:AGENTCTL_URL:-http://localhost:9001}",
            description = "Where a coordinator is; http://localhost:9001 unless AGENTCTL_URL says otherwise")
    private String url = "";

    @Option(
            names = "--output",
            paramLabel = "FORM",
            scope = ScopeType.INHERIT,
            defaultValue = "table",
            description = "${COMPLETION-CANDIDATES}: for people, or for programs; table by default")
    private Output output = Output.TABLE;

    private Agentctl(Terminal terminal) {
        this.terminal = terminal;
    }

    public static void main(String[] args) {
        System.exit(commandLine(Terminal.ofThisProcess()).execute(args));
    }

    static CommandLine commandLine(Terminal terminal) {
        Agentctl agentctl = new Agentctl(terminal);
        CommandLine line = new CommandLine(agentctl);
        line.addSubcommand(new QueuesCommand(agentctl));
        line.addSubcommand(new AgentsCommand(agentctl));
        line.addSubcommand(new TasksCommand(agentctl));
        line.getSubcommands().get("tasks").addSubcommand(new SubmitCommand(agentctl));
        line.addSubcommand(new DrainCommand(agentctl));
        line.addSubcommand(new CompletionCommand(agentctl));
        return line.setOut(terminal.out())
                .setErr(terminal.err())
                .setColorScheme(CommandLine.Help.defaultColorScheme(Ansi.OFF))
                .setCaseInsensitiveEnumValuesAllowed(true)
                // An argument is what it is, even if it begins with @.
                .setExpandAtFiles(false)
                .registerConverter(Priority.class, Words.of(Words::priority))
                .registerConverter(AgentStatus.class, Words.of(AgentStatus::parse))
                .setParameterExceptionHandler(Agentctl::misunderstood)
                .setExecutionExceptionHandler((e, command, result) -> {
                    terminal.out().flush();
                    terminal.err().println(e instanceof CommandFailedException ? e.getMessage() : "agentctl: " + e);
                    return FAILED;
                });
    }

    Coordinator coordinator() {
        try {
            return new Coordinator(url);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(
                    spec.commandLine(), "\"" + url + "\" is not the URL of a coordinator: " + e.getMessage());
        }
    }

    Terminal terminal() {
        return terminal;
    }

    boolean writesJson() {
        return output == Output.JSON;
    }

    /** Writes an answer in the form that is wanted. */
    void write(JsonNode json, Consumer<PrintWriter> table) {
        if (writesJson()) {
            terminal.out().println(Json.text(json));
        } else {
            table.accept(terminal.out());
        }
        terminal.out().flush();
    }

    /** Writes an answer, or for people only a sentence about it. */
    void write(JsonNode json, String sentence) {
        write(json, out -> out.println(sentence));
    }

    private static int misunderstood(ParameterException e, String[] args) {
        CommandLine command = e.getCommandLine();
        PrintWriter err = command.getErr();
        err.println(e.getMessage());
        UnmatchedArgumentException.printSuggestions(e, err);
        err.println("`" + command.getCommandSpec().qualifiedName() + " --help` tells what can be said.");
        err.flush();
        return CommandLine.ExitCode.USAGE;
    }
}
