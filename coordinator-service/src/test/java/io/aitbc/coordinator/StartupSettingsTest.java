package io.aitbc.coordinator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.SpringApplication;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.StandardEnvironment;

class StartupSettingsTest {
    private static final Map<String, String> GOOD = Map.of(
            "aitbc.redis.url", "redis://localhost:6379",
            "aitbc.kafka.bootstrap-servers", "127.0.0.1:9092",
            "aitbc.coordinator.port", "9001",
            "aitbc.security", "off",
            "aitbc.strict", "off",
            "aitbc.log.level", "INFO",
            "aitbc.log.format", "text");

    private static ConfigurableEnvironment with(String name, String value) {
        Map<String, Object> all = new HashMap<>(GOOD);
        all.put("aitbc." + name, value);
        ConfigurableEnvironment environment = new StandardEnvironment();
        environment.getPropertySources().addFirst(new MapPropertySource("test", all));
        new StartupSettings().postProcessEnvironment(environment, new SpringApplication());
        return environment;
    }

    @ParameterizedTest
    @CsvSource({"info,INFO", "WARNING,WARN", "critical,ERROR", "Debug,DEBUG"})
    void logLevelsOfOtherImplementationsAreAccepted(String given, String level) {
        assertThat(with("log.level", given).getProperty("logging.level.root")).isEqualTo(level);
    }

    @Test
    void theLogIsJsonOnDemand() {
        assertThat(with("log.format", "ECS").getProperty("logging.structured.format.console"))
                .isEqualTo("ecs");
        assertThat(with("log.format", "text").getProperty("logging.structured.format.console"))
                .isNull();
    }

    @ParameterizedTest
    @CsvSource({
        "coordinator.port, 0",
        "coordinator.port, 65535",
        "redis.url, redis://user:secret@somewhere:6380/5",
        "redis.url, rediss://somewhere",
        "redis.url, redis://[::1]:6379",
        "redis.url, 'redis-sentinel://user:secret@one:26379,two,three/3#primary'",
        "redis.url, rediss-sentinel://one/0#primary",
        "kafka.bootstrap-servers, 'nowhere.invalid:9092, 127.0.0.1:9092'",
        "kafka.bootstrap-servers, [::1]:9092",
        "security, on",
        "coordinator.management-port, 9081",
        "coordinator.management-port, 0",
        "cors.origins, 'https://app.example.com, http://localhost:5173,http://[::1]:80'",
        "admin.key, 0123456789-._~+/abcdefghijklmnop==",
    })
    void validValuesAreAccepted(String name, String value) {
        assertThat(with(name, value).getProperty("aitbc." + name)).isEqualTo(value);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    log.level               | LOUD              | AITBC_LOG_LEVEL) must be one of TRACE, DEBUG, INFO, WARN, ERROR, OFF but was "LOUD".
                    log.format              | xml               | AITBC_LOG_FORMAT) must be text or ecs but was "xml".
                    coordinator.port        | 65536             | AITBC_COORDINATOR_PORT) must be a port, 1 to 65535 but was "65536".
                    coordinator.port        | -1                | must be a port
                    coordinator.port        | http              | must be a port
                    coordinator.management-port | 9001          | AITBC_COORDINATOR_MANAGEMENT_PORT) must be another port than AITBC_COORDINATOR_PORT
                    coordinator.management-port | 65536         | AITBC_COORDINATOR_MANAGEMENT_PORT) must be a port
                    redis.url               | localhost:6379    | AITBC_REDIS_URL) must look like redis://
                    redis.url               | redis://          | must look like redis://
                    redis.url               | http://localhost  | must look like redis://
                    redis.url               | redis://my_host:1 | but was "redis://my_host:1".
                    redis.url               | redis://host/five | must look like redis://
                    redis.url               | redis-sentinel://host | must look like redis://
                    redis.url               | redis://:6379     | must look like redis://
                    redis.ca-certificate    | /                 | must be a file that the coordinator may read
                    redis.ca-certificate    | pom.xml           | AITBC_REDIS_CA_CERTIFICATE) must be a PEM file with a certificate but was "pom.xml".
                    redis.client-certificate | pom.xml          | must be a PEM file with a certificate
                    kafka.bootstrap-servers | localhost:99999999999 | must be host:port
                    strict                  | yes               | AITBC_STRICT) must be on or off
                    redis.ca-certificate    | missing.pem       | AITBC_REDIS_CA_CERTIFICATE) must be a file that the coordinator may read but was "missing.pem".
                    kafka.config            | missing.properties | AITBC_KAFKA_CONFIG) must be a file that the coordinator may read
                    kafka.bootstrap-servers | localhost         | AITBC_KAFKA_BOOTSTRAP_SERVERS) must be host:port
                    kafka.bootstrap-servers | localhost:99999   | must be host:port
                    kafka.bootstrap-servers | ,                 | must be host:port
                    security                | true              | AITBC_SECURITY) must be on or off but was "true".
                    security                | ' on'             | must be on or off
                    security                | ''                | must be on or off
                    cors.origins            | *                 | AITBC_CORS_ORIGINS) must be a comma-separated list of origins
                    cors.origins            | https://*.example.com | must be a comma-separated list
                    cors.origins            | null              | must be a comma-separated list
                    cors.origins            | app.example.com   | must be a comma-separated list
                    cors.origins            | https://a.example/ | must be a comma-separated list
                    cors.origins            | https://a.example/path | must be a comma-separated list
                    cors.origins            | https://u@a.example | must be a comma-separated list
                    cors.origins            | ftp://a.example   | must be a comma-separated list
                    cors.origins            | 'https://a.example,' | must be a comma-separated list
                    cors.origins            | https://A.example | must be a comma-separated list
                    admin.key               | thirty-one-characters-are-few-1 | AITBC_ADMIN_KEY) must have
                    admin.key               | 'a key with spaces, of 32 characters' | but was "35 characters"
                    """)
    void invalidValuesAreRefusedWithAnExplanation(String name, String value, String sentence) {
        assertThatThrownBy(() -> with(name, value)).hasMessageContaining(sentence);
    }

    /** As {@code operations/tls/certificates.sh} writes them. */
    @Test
    void aPrivateKeyMayBeInTheFileOfItsCertificate(@TempDir Path folder) throws IOException {
        String file = Files.writeString(
                        folder.resolve("client.pem"),
                        "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"
                                + "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n")
                .toString();

        assertThat(with("redis.client-certificate", file).getProperty("aitbc.redis.client-certificate"))
                .isEqualTo(file);
    }

    @ParameterizedTest
    @CsvSource({
        "redis://user:secret@host:port",
        "http://:secret@host",
        "redis://user:secret:more@host:port",
        "redis://user:secret/more@host",
        "redis://user:more/secret@host",
        "redis://user:secret#more@host",
        "redis://user:secret@more@host:port",
        "user:secret@host",
        "redis://:secret",
        "redis://:12345",
        "redis://:p@ss:secret",
        "redis://user:secret",
        "redis-sentinel://user:secret/0#primary",
        "user:secret",
    })
    void aPasswordIsNotRepeated(String url) {
        assertThatThrownBy(() -> with("redis.url", url))
                .hasMessageContaining("but was")
                .hasMessageContaining("***")
                .hasMessageNotContaining("secret")
                .hasMessageNotContaining("12345");
    }

    @ParameterizedTest
    @ValueSource(strings = {"password=\"pass\"secret;", "password=pass secret;", "password=\"secret\""})
    void aMalformedSecretOfKafkaIsNotRepeated(String password, @TempDir Path folder) throws IOException {
        Path file = Files.writeString(
                folder.resolve("client.properties"),
                "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required " + password);
        assertThatThrownBy(() -> with("kafka.config", file.toString()))
                .hasMessageContaining("AITBC_KAFKA_CONFIG) must be a properties file")
                .hasMessageNotContaining("secret");
    }
}
