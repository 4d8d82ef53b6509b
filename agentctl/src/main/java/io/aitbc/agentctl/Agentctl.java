package io.aitbc.agentctl;

import io.aitbc.agentctl.conformance.ConformanceCommand;
import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Delivery;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
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

/** The command line, and what all commands share: the coordinator's address and the output format. */
@Command(
        name = "agentctl",
        scope = ScopeType.INHERIT,
        mixinStandardHelpOptions = true,
        version = "agentctl 0.3.0",
        description = "Inspects and controls an agent coordinator over REST.",
        sortOptions = false,
        exitCodeListHeading = "Exit codes:%n",
        exitCodeList = {
            "0:success",
            "1:the coordinator refused the request or is unreachable, an awaited task did not complete, or an agent does not"
                    + " conform",
            "2:invalid command line"
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
            description = "URL of the coordinator; default: AGENTCTL_URL, or http://localhost:9001")
    private String url = "";

    /** No option takes the key itself: all users of a machine see the arguments of its processes. */
    @Option(
            names = "--key-file",
            paramLabel = "FILE",
            scope = ScopeType.INHERIT,
            description = "File with an API key or a token; default: the key in AGENTCTL_API_KEY")
    private @Nullable Path keyFile;

    @Option(
            names = "--output",
            paramLabel = "FORMAT",
            scope = ScopeType.INHERIT,
            defaultValue = "table",
            description = "Output format: ${COMPLETION-CANDIDATES}; default: table")
    private Output output = Output.TABLE;

    private Agentctl(Terminal terminal) {
        this.terminal = terminal;
    }

    public static void main(String[] args) {
        System.exit(commandLine(Terminal.system()).execute(args));
    }

    static CommandLine commandLine(Terminal terminal) {
        Agentctl agentctl = new Agentctl(terminal);
        CommandLine line = new CommandLine(agentctl);
        line.addSubcommand(new QueuesCommand(agentctl));
        line.addSubcommand(new AgentsCommand(agentctl));
        CommandLine tasks = new CommandLine(new TasksCommand(agentctl))
                .addSubcommand(new SubmitCommand(agentctl))
                .addSubcommand(new TaskListCommand(agentctl));
        BulkCommand.addTo(tasks, agentctl);
        line.addSubcommand(tasks);
        line.addSubcommand(new DrainCommand(agentctl));
        line.addSubcommand(new DeadLettersCommand(agentctl));
        line.addSubcommand(new CoordinatorsCommand(agentctl));
        line.addSubcommand(new StrategyCommand(agentctl));
        line.addSubcommand(new FairnessCommand(agentctl));
        line.addSubcommand(new LimitsCommand(agentctl));
        line.addSubcommand(new HistoryCommand(agentctl));
        line.addSubcommand(new KeysCommand(agentctl));
        line.addSubcommand(new AuditCommand(agentctl));
        line.addSubcommand(new HashPasswordCommand(agentctl));
        line.addSubcommand(new SizeCommand(agentctl));
        line.addSubcommand(new ConformanceCommand(terminal.out(), terminal.err(), agentctl::writesJson));
        line.addSubcommand(new CompletionCommand(agentctl));
        return line.setOut(terminal.out())
                .setErr(terminal.err())
                .setColorScheme(CommandLine.Help.defaultColorScheme(Ansi.OFF))
                .setCaseInsensitiveEnumValuesAllowed(true)
                // Arguments are literal, even if they begin with @.
                .setExpandAtFiles(false)
                .registerConverter(Priority.class, ArgumentTypes.of(ArgumentTypes::priority))
                .registerConverter(Duration.class, ArgumentTypes.of(ArgumentTypes::age))
                .registerConverter(AgentStatus.class, ArgumentTypes.of(AgentStatus::parse))
                .registerConverter(Delivery.class, ArgumentTypes.of(Delivery::parse))
                .setParameterExceptionHandler(Agentctl::usageError)
                .setExecutionExceptionHandler((e, command, result) -> {
                    terminal.out().flush();
                    terminal.err().println(e instanceof CommandFailedException ? e.getMessage() : "agentctl: " + e);
                    return FAILED;
                });
    }

    Coordinator coordinator() {
        String apiKey = apiKey();
        if (!apiKey.matches("[!-~]*")) {
            // Not shown: it may be a key with a typing error.
            throw new ParameterException(
                    spec.commandLine(),
                    "The key has characters that no key has: check AGENTCTL_API_KEY or --key-file.");
        }
        try {
            return new Coordinator(url, apiKey);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(
                    spec.commandLine(), "\"" + url + "\" is not a valid coordinator URL: " + e.getMessage());
        }
    }

    private String apiKey() {
        if (keyFile == null) {
            return Objects.requireNonNullElse(System.getenv("AGENTCTL_API_KEY"), "")
                    .strip();
        }
        try {
            return Files.readString(keyFile).strip();
        } catch (IOException e) {
            throw new ParameterException(spec.commandLine(), "Cannot read the key file " + keyFile + ".", e);
        }
    }

    Terminal terminal() {
        return terminal;
    }

    boolean writesJson() {
        return output == Output.JSON;
    }

    /** Writes a response in the selected output format. */
    void write(JsonNode json, Consumer<PrintWriter> table) {
        if (writesJson()) {
            terminal.out().println(Json.text(json));
        } else {
            table.accept(terminal.out());
        }
        terminal.out().flush();
    }

    /** Writes a response as JSON, or as a sentence in table format. */
    void write(JsonNode json, String sentence) {
        write(json, out -> out.println(sentence));
    }

    private static int usageError(ParameterException e, String[] args) {
        CommandLine command = e.getCommandLine();
        PrintWriter err = command.getErr();
        err.println(e.getMessage());
        UnmatchedArgumentException.printSuggestions(e, err);
        err.println("See `" + command.getCommandSpec().qualifiedName() + " --help` for usage.");
        err.flush();
        return CommandLine.ExitCode.USAGE;
    }
}
