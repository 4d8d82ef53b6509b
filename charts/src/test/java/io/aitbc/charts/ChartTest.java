package io.aitbc.charts;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.marcnuri.helm.Helm;
import com.marcnuri.helm.LintResult;
import com.marcnuri.helm.TemplateCommand;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.PodSpec;
import io.fabric8.kubernetes.api.model.Probe;
import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.networking.v1.Ingress;
import io.fabric8.kubernetes.api.model.networking.v1.NetworkPolicy;
import io.fabric8.kubernetes.api.model.policy.v1.PodDisruptionBudget;
import io.fabric8.kubernetes.client.utils.KubernetesSerialization;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The chart is rendered by Helm itself, and read by the models of Kubernetes: an unknown field or one of another type fails. */
class ChartTest {
    private static final Path CHART = Path.of("agent-coordinator");
    private static final Path OPERATIONS = Path.of("..", "operations");
    private static final String COORDINATOR = "release-agent-coordinator";
    private static final KubernetesSerialization YAML = new KubernetesSerialization();

    private static final String MINIMAL = """
            kafka: {bootstrapServers: "kafka-1:9092,kafka-2:9092"}
            redis: {url: "redis-sentinel://sentinel-1,sentinel-2/0#primary"}
            """;
    private static final String ALL = """
            image: {repository: example/agent-coordinator, tag: "1", pullPolicy: Always}
            imagePullSecrets: [{name: pull}]
            replicas: 3
            kafka: {bootstrapServers: "kafka-1:9093", configSecret: kafka-client}
            redis: {urlSecret: {name: redis, key: url}, sentinelPasswordSecret: {name: redis, key: sentinel}, caSecret: redis-ca}
            history: {url: "postgresql://postgres/tasks", secret: postgres}
            security: {enabled: true, adminKeySecret: {name: admin, key: key}}
            settings: {AITBC_LOG_FORMAT: ecs, AITBC_API_MAX_BODY_BYTES: 2097152, AITBC_STRICT: on}
            extraEnv: [{name: JAVA_TOOL_OPTIONS, value: "-Xss512k"}]
            extraVolumes: [{name: postgres-ca, secret: {secretName: postgres-ca}}]
            extraVolumeMounts: [{name: postgres-ca, mountPath: /etc/postgres}]
            service: {type: LoadBalancer, port: 80, annotations: {a: "1"}}
            ingress: {enabled: true, className: nginx, host: tasks.example.com, tlsSecret: tls}
            podAnnotations: {a: "1"}
            nodeSelector: {disk: ssd}
            tolerations: [{key: dedicated, operator: Exists}]
            priorityClassName: high
            networkPolicy:
              from: [{namespaceSelector: {matchLabels: {team: a}}}]
              metricsFrom: [{namespaceSelector: {matchLabels: {name: monitoring}}}]
            metrics:
              serviceMonitor: {enabled: true, labels: {release: prometheus}}
              prometheusRule: {enabled: true, labels: {release: prometheus}}
              dashboard: {enabled: true}
            agents:
              - {name: fixed, image: "example/agent:1", replicas: 2, args: ["--agent-id", "$(POD_NAME)"]}
              - name: gpu
                image: example/agent:1
                env: [{name: A, value: b}]
                resources: {limits: {memory: 1Gi, nvidia.com/gpu: 1}}
                pullPolicy: Always
                kafkaConfigSecret: kafka-of-gpu
                nodeSelector: {gpu: "yes"}
                tolerations: [{key: gpu, operator: Exists}]
                volumes: [{name: cache, emptyDir: {}}]
                volumeMounts: [{name: cache, mountPath: /home}]
                autoscaling: {enabled: true, query: capability=train, maxReplicas: 5, apiKeySecret: {name: viewer, key: key}}
            """;

    @TempDir
    private Path folder;

    @Test
    void itPassesTheLinter() throws IOException {
        LintResult lint = new Helm(withDefaults()).lint().strict().call();

        assertThat(lint.isFailed()).as("%s", lint.getMessages()).isFalse();
    }

    /** The linter has no values of its own. */
    private Path withDefaults() throws IOException {
        Path copy = folder.resolve("agent-coordinator");
        try (Stream<Path> files = Files.walk(CHART)) {
            for (Path file : files.toList()) {
                Path target = copy.resolve(CHART.relativize(file).toString());
                if (Files.isDirectory(file)) {
                    Files.createDirectories(target);
                } else {
                    Files.copy(file.toRealPath(), target);
                }
            }
        }
        Path values = copy.resolve("values.yaml");
        Files.writeString(
                values,
                Files.readString(values)
                        .replace("bootstrapServers: \"\"", "bootstrapServers: kafka:9092")
                        .replaceFirst("url: \"\"", "url: redis://redis:6379"));
        return copy;
    }

    @ParameterizedTest
    @CsvSource({"minimal", "all"})
    void itHasOnlyFieldsThatKubernetesKnows(String values) throws IOException {
        List<HasMetadata> rendered = render(values.equals("all") ? ALL : MINIMAL);

        assertThat(rendered).allSatisfy(resource -> {
            assertThat(unknownFields(resource, resource.getKind())).isEmpty();
            assertThat(resource.getMetadata().getName()).matches("[a-z0-9][-a-z0-9]{0,62}");
            assertThat(resource.getMetadata().getLabels())
                    .containsEntry("app.kubernetes.io/instance", "release")
                    .containsKey("app.kubernetes.io/component");
        });
        assertThat(rendered.stream()
                        .map(one -> one.getKind() + "/" + one.getMetadata().getName()))
                .doesNotHaveDuplicates();
    }

    @Test
    void aMinimalInstallationIsSafe() throws IOException {
        List<HasMetadata> rendered = render(MINIMAL);

        Deployment deployment = only(rendered, Deployment.class);
        assertThat(deployment.getSpec().getReplicas()).isEqualTo(2);
        assertThat(only(rendered, PodDisruptionBudget.class)
                        .getSpec()
                        .getMinAvailable()
                        .getValue())
                .isEqualTo(1);
        assertThat(only(rendered, NetworkPolicy.class).getSpec().getPolicyTypes())
                .containsExactly("Ingress", "Egress");
        Map<String, String> environment = environment(container(deployment));
        assertThat(environment)
                .containsEntry("AITBC_SECURITY", "on")
                .containsEntry("AITBC_KAFKA_BOOTSTRAP_SERVERS", "kafka-1:9092,kafka-2:9092")
                .containsEntry("AITBC_REDIS_URL", "redis-sentinel://sentinel-1,sentinel-2/0#primary");
    }

    /** What the restricted pod security standard of Kubernetes asks for, and a root file system that is read-only. */
    @Test
    void podsAreRestricted() throws IOException {
        List<Deployment> deployments = all(render(ALL), Deployment.class);

        assertThat(deployments).hasSize(3).allSatisfy(deployment -> {
            PodSpec pod = deployment.getSpec().getTemplate().getSpec();
            assertThat(pod.getSecurityContext().getRunAsNonRoot()).isTrue();
            assertThat(pod.getSecurityContext().getSeccompProfile().getType()).isEqualTo("RuntimeDefault");
            assertThat(pod.getAutomountServiceAccountToken()).isFalse();
            assertThat(pod.getContainers()).allSatisfy(container -> {
                assertThat(container.getSecurityContext().getAllowPrivilegeEscalation())
                        .isFalse();
                assertThat(container.getSecurityContext().getReadOnlyRootFilesystem())
                        .isTrue();
                assertThat(container.getSecurityContext().getCapabilities().getDrop())
                        .containsExactly("ALL");
            });
            List<String> volumes =
                    pod.getVolumes().stream().map(Volume::getName).toList();
            assertThat(pod.getContainers().get(0).getVolumeMounts())
                    .allSatisfy(mount -> assertThat(volumes).contains(mount.getName()));
        });
    }

    @Test
    void secretsAreOnlyReferredTo() throws IOException {
        Container coordinator = container(deployment(render(ALL), COORDINATOR));

        Map<String, String> references = new HashMap<>();
        for (EnvVar variable : coordinator.getEnv()) {
            if (variable.getValueFrom() != null) {
                var secret = variable.getValueFrom().getSecretKeyRef();
                references.put(variable.getName(), secret.getName() + "/" + secret.getKey());
            }
        }
        assertThat(references)
                .containsOnly(
                        Map.entry("AITBC_REDIS_URL", "redis/url"),
                        Map.entry("AITBC_REDIS_SENTINEL_PASSWORD", "redis/sentinel"),
                        Map.entry("AITBC_ADMIN_KEY", "admin/key"),
                        Map.entry("AITBC_HISTORY_USER", "postgres/username"),
                        Map.entry("AITBC_HISTORY_PASSWORD", "postgres/password"));
    }

    @Test
    void probesAndPortsAgree() throws IOException {
        List<HasMetadata> rendered = render(ALL);
        Container coordinator = container(deployment(rendered, COORDINATOR));
        List<String> ports =
                coordinator.getPorts().stream().map(port -> port.getName()).toList();

        assertThat(ports).containsExactly("http", "management");
        for (Probe probe : List.of(
                coordinator.getStartupProbe(), coordinator.getLivenessProbe(), coordinator.getReadinessProbe())) {
            assertThat(ports).contains(probe.getHttpGet().getPort().getStrVal());
        }
        assertThat(coordinator.getLivenessProbe().getHttpGet().getPath()).isEqualTo("/actuator/health/liveness");
        assertThat(coordinator.getReadinessProbe().getHttpGet().getPath()).isEqualTo("/actuator/health/readiness");
        // Metrics need no key: they are not offered to the world.
        Service outside = all(rendered, Service.class).get(0);
        assertThat(outside.getSpec().getType()).isEqualTo("LoadBalancer");
        assertThat(outside.getSpec().getPorts())
                .extracting(port -> port.getName())
                .containsExactly("http");
        assertThat(only(rendered, Ingress.class).getSpec().getRules().get(0).getHost())
                .isEqualTo("tasks.example.com");
    }

    /** A setting with a wrong name would be ignored by the coordinator. */
    @Test
    void allSettingsExist() throws IOException {
        String documented = Files.readString(Path.of("..", "docs", "configuration.md"));

        assertThat(environment(container(deployment(render(ALL), COORDINATOR))).keySet())
                .filteredOn(name -> name.startsWith("AITBC_"))
                .allSatisfy(name -> assertThat(documented).contains("`" + name + "`"));
    }

    @Test
    void rulesAndDashboardAreThoseOfTheProject() throws IOException {
        List<HasMetadata> rendered = render(ALL);

        Object groups = generic(rendered, "PrometheusRule").get("spec");
        assertThat(groups).isEqualTo(YAML.unmarshal(Files.readString(OPERATIONS.resolve("alerts.yml")), Map.class));
        Map<String, String> dashboard = only(rendered, ConfigMap.class).getData();
        assertThat(YAML.unmarshal(dashboard.get("agent-coordinator.json"), Map.class))
                .isEqualTo(YAML.unmarshal(Files.readString(OPERATIONS.resolve("grafana-dashboard.json")), Map.class));
        Map<String, Object> endpoint = generic(rendered, "ServiceMonitor").get("spec", "endpoints", 0);
        assertThat(endpoint).containsEntry("port", "management").containsEntry("path", "/actuator/prometheus");
    }

    @Test
    void agentsFollowTheDemand() throws IOException {
        List<HasMetadata> rendered = render(ALL);

        Deployment gpu = deployment(rendered, "release-agent-coordinator-agent-gpu");
        // KEDA sets it: a chart that does too would undo that at each upgrade.
        assertThat(gpu.getSpec().getReplicas()).isNull();
        GenericKubernetesResource scaled = generic(rendered, "ScaledObject");
        assertThat(scaled.<String>get("spec", "scaleTargetRef", "name"))
                .isEqualTo(gpu.getMetadata().getName());
        Map<String, String> trigger = scaled.get("spec", "triggers", 0, "metadata");
        assertThat(trigger)
                .containsEntry("url", "http://" + COORDINATOR + ".default.svc:80/demand?capability=train")
                .containsEntry("valueLocation", "agents_wanted")
                .containsEntry("authMode", "apiKey");
        assertThat(generic(rendered, "TriggerAuthentication").<String>get("spec", "secretTargetRef", 0, "name"))
                .isEqualTo("viewer");
    }

    /** Each has a user of Kafka of its own, or none: that of the coordinators may do more. */
    @Test
    void agentsDoNotGetTheCredentialsOfCoordinators() throws IOException {
        for (Deployment deployment : all(render(ALL), Deployment.class)) {
            List<String> secrets = deployment.getSpec().getTemplate().getSpec().getVolumes().stream()
                    .filter(volume -> volume.getSecret() != null)
                    .map(volume -> volume.getSecret().getSecretName())
                    .toList();
            String name = deployment.getMetadata().getName();
            assertThat(secrets)
                    .isEqualTo(
                            name.equals(COORDINATOR)
                                    ? List.of("kafka-client", "redis-ca", "postgres-ca")
                                    : name.endsWith("gpu") ? List.of("kafka-of-gpu") : List.of());
        }
    }

    @Test
    void settingsStayWhatTheyAreInYaml() throws IOException {
        assertThat(environment(container(deployment(render(ALL), COORDINATOR))))
                .containsEntry("AITBC_API_MAX_BODY_BYTES", "2097152")
                .containsEntry("AITBC_STRICT", "on");
    }

    @Test
    void demandNeedsAKey() {
        assertThatThrownBy(() -> render(
                        MINIMAL + "agents: [{name: a, image: a, autoscaling: {enabled: true, query: capability=a}}]"))
                .hasMessageContaining("apiKeySecret is required");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "redis: {url: redis://redis} | bootstrapServers",
                "kafka: {bootstrapServers: kafka} | bootstrapServers",
                "kafka: {bootstrapServers: 'kafka:9092'} | redis",
                "kafka: {bootstrapServers: 'kafka:9092'}, redis: {url: 'http://redis'} | url",
                "kafka: {bootstrapServers: 'kafka:9092'}, redis: {url: 'redis://redis'}, replica: 3 | replica",
                "kafka: {bootstrapServers: 'kafka:9092'}, redis: {url: 'redis://redis'}, settings: {LOG: 1} | LOG",
                "kafka: {bootstrapServers: 'kafka:9092'}, redis: {url: 'redis://redis'}, ingress: {enabled: true} | host",
                "kafka: {bootstrapServers: 'kafka:9092'}, redis: {url: 'redis://redis'}, ingress: {enabled: true, host: 'http://a'} | host",
                "kafka: {bootstrapServers: 'kafka:9092'}, redis: {url: 'redis://redis'}, extraEnv: [{name: A, value: 1}] | extraEnv",
                "kafka: {bootstrapServers: 'kafka:9092'}, redis: {url: 'redis://redis'}, networkPolicy: {egressPorts: [70000]} | egressPorts",
                "kafka: {bootstrapServers: 'kafka:9092'}, redis: {url: 'redis://redis'}, podDisruptionBudget: {minAvailable: half} | minAvailable",
                "kafka: {bootstrapServers: 'kafka:99999'}, redis: {url: 'redis://redis'} | bootstrapServers",
                "kafka: {bootstrapServers: 'kafka:9092'}, redis: {url: 'redis://:secret@redis'} | url",
                "kafka: {bootstrapServers: 'kafka:9092'}, redis: {url: 'redis://'} | url",
                "kafka: {bootstrapServers: 'kafka:9092'}, redis: {url: 'redis-sentinel://a,b'} | url",
                "kafka: {bootstrapServers: 'kafka:9092'}, redis: {url: 'redis://redis:99999'} | url",
                "kafka: {bootstrapServers: 'kafka:9092'}, redis: {url: 'redis://redis'}, history: {secret: a} | history",
                "kafka: {bootstrapServers: 'kafka:9092'}, redis: {url: 'redis://redis'}, service: {port: 9002} | port",
                "kafka: {bootstrapServers: 'kafka:9092'}, redis: {url: 'redis://redis'}, settings: {SERVER_PORT: 8080} | SERVER_PORT",
                "kafka: {bootstrapServers: 'kafka:9092'}, redis: {url: 'redis://redis'}, agents: [{name: a, image: a, autoscaling: {query: 'a=#'}}] | query",
            })
    void mistakesInValuesAreNamed(String values, String field) {
        assertThatThrownBy(() -> render("{" + values + "}"))
                .hasMessageContaining("values don't meet the specifications of the schema")
                .hasMessageContaining(field);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "settings: {AITBC_SECURITY: 'off'}",
                "extraEnv: [{name: AITBC_SECURITY, value: 'off'}]",
                "settings: {AITBC_STRICT: 'on'}, extraEnv: [{name: AITBC_STRICT, value: 'on'}]",
                "kafka: {bootstrapServers: 'kafka:9092', configSecret: kafka}, settings: {AITBC_KAFKA_CONFIG: /etc/kafka}",
            })
    void aVariableIsSetOnce(String values) {
        String given = values.startsWith("kafka") ? "" : "kafka: {bootstrapServers: 'kafka:9092'}, ";
        assertThatThrownBy(() -> render("{" + given + "redis: {url: 'redis://redis'}, " + values + "}"))
                .hasMessageMatching("(?s).*AITBC_(SECURITY|STRICT|KAFKA_CONFIG) is set twice.*");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "podDisruptionBudget: {minAvailable: 2} | minAvailable must leave one of the replicas",
                "podDisruptionBudget: {minAvailable: '75%'} | minAvailable must leave one of the replicas",
                "agents: [{name: a, image: a}, {name: a, image: b}] | agents: a is there twice",
                "agents: [{name: a, image: a, env: [{name: POD_NAME, value: a}]}] | POD_NAME is set twice, by agents: a: env",
                "agents: [{name: a, image: a, volumes: [{name: tmp}]}] | tmp is set twice, by agents: a: volumes",
                "extraVolumes: [{name: tmp}] | tmp is set twice, by extraVolumes",
                "agents: [{name: a, image: a, autoscaling: {query: a=b, minReplicas: 5, maxReplicas: 2}}] | minReplicas is larger",
            })
    void contradictionsAreRefused(String values, String sentence) {
        assertThatThrownBy(() -> render(MINIMAL + values)).hasMessageContaining(sentence);
    }

    @Test
    void portsInTheValuesCanBeReached() throws IOException {
        NetworkPolicy policy = only(render("""
                kafka: {bootstrapServers: "kafka:19092, [::1]:19093"}
                redis: {url: "redis-sentinel://one:16379,two/0#primary"}
                history: {url: "postgresql://db:15432/tasks"}
                networkPolicy: {egressPorts: [443, 19092]}
                """), NetworkPolicy.class);

        assertThat(policy.getSpec().getEgress().get(1).getPorts())
                .extracting(port -> port.getPort().getIntVal())
                .containsExactly(19092, 19093, 16379, 15432, 6379, 26379, 5432, 443);
    }

    /** Two releases with long names that differ only at their end. */
    @Test
    void longNamesStayDifferent() throws IOException {
        String values = MINIMAL + "agents: [{name: hash, image: a}]";
        List<String> names = Stream.of("blue", "green")
                .map("agent-coordinator-production-europe-west-1-is-"::concat)
                .flatMap(release -> render(release, values).stream())
                .filter(resource -> !(resource instanceof Service))
                .map(resource ->
                        resource.getKind() + "/" + resource.getMetadata().getName())
                .toList();

        assertThat(names)
                .doesNotHaveDuplicates()
                .allSatisfy(name -> assertThat(name).matches("[A-Za-z]+/[a-z][-a-z0-9]{0,51}"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"1release", "my.release"})
    void aReleaseThatServicesCannotBeNamedAfterIsRefused(String release) {
        assertThatThrownBy(() -> render(release, MINIMAL)).hasMessageContaining("must begin with a letter");
    }

    @Test
    void aDigestReplacesTheTag() throws IOException {
        assertThat(container(deployment(render(MINIMAL + "image: {repository: 'a/b@sha256:c'}"), COORDINATOR))
                        .getImage())
                .isEqualTo("a/b@sha256:c");
    }

    @Test
    void aDisruptionBudgetCanBeLeftOut() throws IOException {
        assertThat(all(render(MINIMAL + "podDisruptionBudget: null"), PodDisruptionBudget.class))
                .isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "settings: {SERVER_SSL_BUNDLE: web} | https",
                "extraEnv: [{name: SERVER_SSL_BUNDLE, value: web}] | https",
                "settings: {SERVER_SSL_BUNDLE: web, SERVER_SSL_ENABLED: false} | http",
                "settings: {} | http",
            })
    void demandIsAskedForWithTlsIfRestHasIt(String values, String scheme) throws IOException {
        GenericKubernetesResource scaled = generic(render(MINIMAL + values + """

                        security: {enabled: false}
                        agents: [{name: a, image: a, autoscaling: {enabled: true, query: capability=a}}]
                        """), "ScaledObject");

        assertThat(scaled.<String>get("spec", "triggers", 0, "metadata", "url")).startsWith(scheme + "://");
    }

    /** Kubernetes refuses a number or a boolean there; the models read them as strings. */
    @Test
    void labelsAnnotationsAndSelectorsAreStrings() throws IOException {
        String yaml = yaml("release", MINIMAL + """
                nodeSelector: {gpu: true}
                podAnnotations: {size: 2097152}
                service: {annotations: {a: 1}}
                ingress: {enabled: true, host: a.example.com, annotations: {a: 1}}
                metrics:
                  serviceMonitor: {enabled: true, labels: {a: 1}}
                  prometheusRule: {enabled: true, labels: {a: 1}}
                  dashboard: {enabled: true, labels: {a: 1}}
                agents: [{name: a, image: a, nodeSelector: {gpu: true}}]
                """);

        assertThat(yaml.lines().map(String::trim))
                .doesNotContain("a: 1", "gpu: true", "size: 2097152")
                .contains("\"a\": \"1\"", "\"gpu\": \"true\"", "\"size\": \"2097152\"");
    }

    /** A rule without ports would allow all. */
    @Test
    void noEgressPortsAllowThoseInTheValues() throws IOException {
        NetworkPolicy policy = only(render(MINIMAL + "networkPolicy: {egressPorts: []}"), NetworkPolicy.class);

        assertThat(policy.getSpec().getEgress().get(1).getPorts())
                .extracting(port -> port.getPort().getIntVal())
                .containsExactly(9092, 6379, 26379);
    }

    @Test
    void agentsCanBeStopped() throws IOException {
        List<HasMetadata> rendered = render(MINIMAL + "agents: [{name: a, image: a, replicas: 0}]");

        assertThat(deployment(rendered, COORDINATOR + "-agent-a").getSpec().getReplicas())
                .isZero();
    }

    private List<HasMetadata> render(String values) throws IOException {
        return render("release", values);
    }

    private List<HasMetadata> render(String release, String values) {
        List<HasMetadata> rendered = new ArrayList<>();
        for (String document : yaml(release, values).split("(?m)^---.*$")) {
            if (document.lines().anyMatch(line -> !line.isBlank() && !line.startsWith("#"))) {
                rendered.add(YAML.unmarshal(document));
            }
        }
        return rendered;
    }

    private String yaml(String release, String values) {
        Path file;
        try {
            file = Files.writeString(folder.resolve("values.yaml"), values);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        TemplateCommand template = new Helm(CHART)
                .template()
                .withKubeVersion("1.30.0")
                .withName(release)
                .withNamespace("default");
        return template.withValuesFile(file).call();
    }

    /** Where the models found fields that they do not have. */
    private static List<String> unknownFields(Object value, String path) {
        List<String> unknown = new ArrayList<>();
        if (value instanceof GenericKubernetesResource) {
            return unknown;
        } else if (value instanceof Collection<?> all) {
            all.forEach(one -> unknown.addAll(unknownFields(one, path + "[]")));
        } else if (value != null && value.getClass().getName().startsWith("io.fabric8.kubernetes.api.model")) {
            for (Method method : value.getClass().getMethods()) {
                if (method.getParameterCount() == 0 && method.getName().startsWith("get")) {
                    Object inner;
                    try {
                        inner = method.invoke(value);
                    } catch (ReflectiveOperationException e) {
                        throw new IllegalStateException(e);
                    }
                    if (method.getName().equals("getAdditionalProperties")) {
                        ((Map<?, ?>) Objects.requireNonNull(inner))
                                .keySet()
                                .forEach(name -> unknown.add(path + "." + name));
                    } else {
                        unknown.addAll(unknownFields(
                                inner, path + "." + method.getName().substring(3)));
                    }
                }
            }
        }
        return unknown;
    }

    private static Deployment deployment(List<HasMetadata> all, String name) {
        return all(all, Deployment.class).stream()
                .filter(one -> one.getMetadata().getName().equals(name))
                .findFirst()
                .orElseThrow();
    }

    private static <T> T only(List<HasMetadata> all, Class<T> type) {
        List<T> found = all(all, type);
        assertThat(found).hasSize(1);
        return found.get(0);
    }

    private static <T> List<T> all(List<HasMetadata> all, Class<T> type) {
        return all.stream().filter(type::isInstance).map(type::cast).toList();
    }

    private static GenericKubernetesResource generic(List<HasMetadata> all, String kind) {
        return all(all, GenericKubernetesResource.class).stream()
                .filter(one -> one.getKind().equals(kind))
                .findFirst()
                .orElseThrow();
    }

    private static Container container(Deployment deployment) {
        return deployment.getSpec().getTemplate().getSpec().getContainers().get(0);
    }

    private static Map<String, String> environment(Container container) {
        Map<String, String> environment = new HashMap<>();
        container.getEnv().forEach(variable -> environment.put(variable.getName(), variable.getValue()));
        return environment;
    }
}
