package io.aitbc.coordinator;

import io.lettuce.core.RedisURI;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import org.apache.kafka.common.config.SaslConfigs;
import org.apache.kafka.common.config.types.Password;
import org.apache.kafka.common.security.JaasContext;
import org.apache.kafka.common.utils.Utils;
import org.springframework.boot.EnvironmentPostProcessor;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;
import org.springframework.boot.logging.LogLevel;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.MapPropertySource;

/** Validates the published settings before anything starts. An invalid one fails startup with a sentence that names it. */
public final class StartupSettings implements EnvironmentPostProcessor {
    /** Names of these levels in other implementations of the architecture. */
    private static final Map<String, String> LEVEL_ALIASES = Map.of("WARNING", "WARN", "CRITICAL", "ERROR");

    /** What can be sent as a bearer token, see RFC 6750. */
    private static final String ADMIN_KEY = "[A-Za-z0-9._~+/-]{32,}=*";

    /** What has no password, whatever else is wrong with it. In any other URL there may be one anywhere. */
    private static final Pattern HOST_AND_PORT = Pattern.compile("[a-z-]+://[^:@]+(:\\d{1,5})?");

    private static final Pattern CERTIFICATE = Pattern.compile("-BEGIN [A-Z0-9 ]*CERTIFICATE-");

    /** As browsers send it: in lower case, and a path, a user or a wildcard would match nothing, or too much. */
    private static final Pattern ORIGIN = Pattern.compile("https?://([a-z0-9._-]+|\\[[0-9a-f:.]+])(:[0-9]{1,5})?");

    @Override
    public void postProcessEnvironment(ConfigurableEnvironment environment, SpringApplication application) {
        Map<String, Object> logging = new HashMap<>();
        logging.put("logging.level.root", logLevel(value(environment, "log.level")));
        if (isJson(value(environment, "log.format"))) {
            logging.put("logging.structured.format.console", "ecs");
        }
        environment.getPropertySources().addLast(new MapPropertySource("aitbc-log", logging));
        checkPort("coordinator.port", value(environment, "coordinator.port"));
        serveManagement(environment);
        checkSwitch(environment, "strict");
        checkSecurity(environment);
        checkOrigins(value(environment, "cors.origins"));
        checkRedis(value(environment, "redis.url"));
        checkServers(value(environment, "kafka.bootstrap-servers"));
        checkKafkaConfig(value(environment, "kafka.config"));
        checkCertificates("redis.ca-certificate", value(environment, "redis.ca-certificate"));
        checkCertificates("redis.client-certificate", value(environment, "redis.client-certificate"));
        checkFile("redis.client-key", value(environment, "redis.client-key"));
    }

    private static String value(ConfigurableEnvironment environment, String name) {
        return environment.getProperty("aitbc." + name, "").trim();
    }

    private static String logLevel(String text) {
        String upper = text.toUpperCase(Locale.ROOT);
        String level = LEVEL_ALIASES.getOrDefault(upper, upper);
        if (Arrays.stream(LogLevel.values()).noneMatch(known -> known.name().equals(level))) {
            throw new InvalidSettingException("log.level", "must be one of TRACE, DEBUG, INFO, WARN, ERROR, OFF", text);
        }
        return level;
    }

    private static boolean isJson(String format) {
        return switch (format.toLowerCase(Locale.ROOT)) {
            case "text" -> false;
            case "ecs" -> true;
            default -> throw new InvalidSettingException("log.format", "must be text or ecs", format);
        };
    }

    private static void checkPort(String name, String text) {
        if (!text.matches("\\d{1,5}") || Integer.parseInt(text) > 65_535) {
            throw new InvalidSettingException(name, "must be a port, 1 to 65535", text);
        }
    }

    /** Metrics need no key there: so it must not be the port that everyone reaches. */
    private static void serveManagement(ConfigurableEnvironment environment) {
        String port = value(environment, "coordinator.management-port");
        if (port.isEmpty()) {
            return;
        }
        checkPort("coordinator.management-port", port);
        if (!port.equals("0") && port.equals(value(environment, "coordinator.port"))) {
            throw new InvalidSettingException(
                    "coordinator.management-port", "must be another port than AITBC_COORDINATOR_PORT", port);
        }
        Map<String, Object> management = new HashMap<>();
        management.put("management.server.port", port);
        management.put("management.endpoints.web.exposure.include", "health,prometheus");
        String address = environment.getProperty("server.address", "");
        if (!address.isEmpty()) {
            management.put("management.server.address", address);
        }
        environment.getPropertySources().addLast(new MapPropertySource("aitbc-management", management));
    }

    private static void checkSwitch(ConfigurableEnvironment environment, String name) {
        // As it is: with a space, it would pass for off.
        String value = environment.getProperty("aitbc." + name, "");
        if (!value.equals("on") && !value.equals("off")) {
            throw new InvalidSettingException(name, "must be on or off", value);
        }
    }

    private static void checkSecurity(ConfigurableEnvironment environment) {
        checkSwitch(environment, "security");
        String adminKey = environment.getProperty("aitbc.admin.key", "");
        if (!adminKey.isEmpty() && !adminKey.matches(ADMIN_KEY)) {
            throw new InvalidSettingException(
                    "admin.key",
                    "must have at least 32 characters of A-Z a-z 0-9 - . _ ~ + /",
                    adminKey.length() + " characters");
        }
    }

    private static void checkOrigins(String text) {
        for (String origin : text.isEmpty() ? new String[0] : text.split(",", -1)) {
            if (!ORIGIN.matcher(origin.trim()).matches()) {
                throw new InvalidSettingException(
                        "cors.origins",
                        "must be a comma-separated list of origins such as https://app.example.com, without a path,",
                        text);
            }
        }
    }

    private static void checkRedis(String text) {
        try {
            if (text.matches("rediss?(-sentinel)?://.*") && isUsable(RedisURI.create(text))) {
                return;
            }
        } catch (IllegalArgumentException e) {
            // Reported below.
        }
        throw new InvalidSettingException(
                "redis.url",
                "must look like redis://user:password@host:6379/0 (or rediss://, redis-sentinel://host,host,host/0#primary,"
                        + " and %40 for an @ in the password)",
                HOST_AND_PORT.matcher(text).matches() ? text : text.replaceFirst("^([a-z-]+://)?.*", "$1***"));
    }

    private static boolean isUsable(RedisURI uri) {
        // The parser takes a host it cannot split (a name with an underscore, a non-numeric port, none) for a name with
        // a colon.
        return !uri.getSentinels().isEmpty() || !uri.getHost().matches("([^\\[].*)?:.*");
    }

    private static void checkKafkaConfig(String file) {
        checkFile("kafka.config", file);
        if (file.isEmpty()) {
            return;
        }
        try {
            String jaas = Utils.loadProps(file).getProperty(SaslConfigs.SASL_JAAS_CONFIG);
            if (jaas != null) {
                JaasContext.loadClientContext(Map.of(SaslConfigs.SASL_JAAS_CONFIG, new Password(jaas)));
            }
        } catch (IOException | IllegalArgumentException e) {
            // Without its message, which may quote a part of a password.
            throw new InvalidSettingException(
                    "kafka.config",
                    "must be a properties file, in which sasl.jaas.config has the password in quotes and ends with a semicolon,",
                    file);
        }
    }

    private static void checkFile(String name, String text) {
        if (!text.isEmpty() && !(Files.isRegularFile(Path.of(text)) && Files.isReadable(Path.of(text)))) {
            throw new InvalidSettingException(name, "must be a file that the coordinator may read", text);
        }
    }

    /** The file may also have a private key. */
    private static void checkCertificates(String name, String file) {
        checkFile(name, file);
        try {
            if (file.isEmpty()
                    || CERTIFICATE
                            .matcher(Files.readString(Path.of(file), StandardCharsets.ISO_8859_1))
                            .find()) {
                return;
            }
        } catch (IOException e) {
            // Reported below.
        }
        throw new InvalidSettingException(name, "must be a PEM file with a certificate", file);
    }

    /** Does not resolve names: resolution may change, and REST is served meanwhile. */
    private static void checkServers(String text) {
        List<String> servers = Arrays.stream(text.split(","))
                .map(String::trim)
                .filter(s -> !s.isEmpty())
                .toList();
        if (servers.isEmpty() || !servers.stream().allMatch(StartupSettings::isServer)) {
            throw new InvalidSettingException(
                    "kafka.bootstrap-servers", "must be host:port, or a comma-separated list of them", text);
        }
    }

    private static boolean isServer(String text) {
        try {
            Integer port = Utils.getPort(text);
            return Utils.getHost(text) != null && port != null && port >= 1 && port <= 65_535;
        } catch (NumberFormatException e) {
            return false;
        }
    }

    /** A setting with an unusable value. */
    static final class InvalidSettingException extends RuntimeException {
        private final String name;

        InvalidSettingException(String name, String rule, String value) {
            super("aitbc." + name + " (" + variable(name) + ") " + rule + " but was \"" + value + "\".");
            this.name = name;
        }

        private static String variable(String name) {
            return "AITBC_" + name.toUpperCase(Locale.ROOT).replace('.', '_').replace('-', '_');
        }
    }

    static final class Analyzer extends AbstractFailureAnalyzer<InvalidSettingException> {
        @Override
        protected FailureAnalysis analyze(Throwable rootFailure, InvalidSettingException e) {
            return new FailureAnalysis(
                    e.getMessage(),
                    "Correct the environment variable " + InvalidSettingException.variable(e.name) + ", or unset it.",
                    e);
        }
    }
}
