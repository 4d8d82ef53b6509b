package io.aitbc.coordinator.security;

import jakarta.servlet.http.HttpServletRequest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.springframework.http.server.PathContainer;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.security.authorization.AuthorizationDecision;
import org.springframework.security.authorization.AuthorizationManager;
import org.springframework.security.core.Authentication;
import org.springframework.web.util.ServletRequestPathUtils;
import org.springframework.web.util.pattern.PathPattern;
import org.springframework.web.util.pattern.PathPatternParser;

/**
 * Who may do what: method and path × role. What is not in the table is denied. Paths hold below {@code /v1} too.
 */
public final class AccessRules implements AuthorizationManager<HttpServletRequest> {
    /**
     * The roles beside admin, which may do everything. {@code public} needs no credential, {@code all} any. {@code scoped} is a submitter,
     * even one who may see the tasks of one fairness key only. A role agent may use a path with {@code {agent_id}} for its own id only.
     * Every method but GET is recorded in the audit trail, unless it is marked {@code unrecorded}: agents and clients call these all the time.
     */
    private static final String TABLE = """
            GET    /                                        all
            GET    /health                                  public
            GET    /metrics                                 viewer operator
            GET    /metrics/summary                         viewer operator
            GET    /metrics/health                          viewer operator
            GET    /asyncapi.yaml                           all
            GET    /openapi.json                            all
            GET    /openapi.json.yaml                       all
            GET    /openapi.json/**                         all
            GET    /docs                                    all
            GET    /swagger-ui/**                           all
            GET    /schemas/**                              all
            GET    /dashboard/**                            public
            GET    /webjars/**                              public
            GET    /actuator/health/**                      public
            POST   /agents/register                         agent operator unrecorded
            GET    /agents                                  viewer submitter agent operator
            POST   /agents/discover                         viewer submitter agent operator unrecorded
            GET    /agents/service/{service}                viewer submitter agent operator
            GET    /agents/capability/{capability}          viewer submitter agent operator
            GET    /agents/{agent_id}                       viewer submitter agent operator
            PUT    /agents/{agent_id}/status                agent operator
            POST   /agents/{agent_id}/heartbeat             agent unrecorded
            DELETE /agents/{agent_id}                       agent operator
            GET    /agents/{agent_id}/assignments           viewer agent operator
            POST   /agents/{agent_id}/assignments/claim     agent unrecorded
            GET    /tasks                                   viewer scoped operator
            POST   /tasks/bulk/cancel                       operator
            POST   /tasks/bulk/redrive                      operator
            POST   /tasks/bulk/{bulk_id}/stop               operator
            GET    /tasks/bulk/{bulk_id}                    viewer operator
            POST   /tasks/submit                            scoped operator unrecorded
            POST   /tasks/submit/batch                      scoped operator unrecorded
            GET    /tasks/status                            viewer submitter operator
            GET    /tasks/{task_id}                         viewer scoped operator
            GET    /tasks/{task_id}/explain                 viewer scoped operator
            POST   /tasks/{task_id}/cancel                  scoped operator
            POST   /tasks/{task_id}/retry                   scoped operator
            POST   /tasks/{task_id}/token                   scoped operator unrecorded
            POST   /tasks/{task_id}/results                 agent unrecorded
            GET    /tasks/queues                            viewer scoped operator
            GET    /tasks/queues/stats                      viewer submitter operator
            GET    /tasks/queues/{priority}                 viewer scoped operator
            POST   /tasks/queues/{priority}/clear           operator
            POST   /tasks/queues/{priority}/pause           operator
            POST   /tasks/queues/{priority}/resume          operator
            GET    /tasks/dead-letter                       viewer scoped operator
            POST   /tasks/dead-letter/{task_id}/redrive     operator
            POST   /history/rebuild                         operator
            GET    /stats/tasks                             viewer submitter operator
            GET    /stats/blocked                           viewer submitter operator
            GET    /demand                                  viewer submitter operator
            GET    /fairness                                viewer submitter operator
            PUT    /fairness/{*fairness_key}                operator
            DELETE /fairness/{*fairness_key}                operator
            GET    /limits                                  viewer submitter operator
            GET    /limits/{*name}                          viewer submitter operator
            PUT    /limits/{*name}                          operator
            DELETE /limits/{*name}                          operator
            GET    /load-balancer/stats                     viewer submitter operator
            PUT    /load-balancer/strategy                  operator
            GET    /registry/stats                          viewer submitter operator
            GET    /coordinators                            viewer submitter operator
            GET    /events                                  viewer scoped operator
            GET    /ws                                      viewer scoped operator
            POST   /auth/login                              public
            POST   /auth/refresh                            public unrecorded
            POST   /auth/validate                           public unrecorded
            GET    /auth/session                            public
            POST   /auth/session                            public
            DELETE /auth/session                            public unrecorded
            POST   /auth/api-key/generate                   admin
            POST   /auth/api-key/validate                   public unrecorded
            DELETE /auth/api-key/{api_key}                  admin
            GET    /auth/stats                              admin
            GET    /roles                                   all
            GET    /roles/{role}                            all
            GET    /users/{user_id}/role                    admin
            POST   /users/{user_id}/role                    admin
            GET    /keys                                    admin
            POST   /keys                                    admin
            DELETE /keys/{key_id}                           admin
            GET    /audit                                   admin
            """;

    /** Calls that agents make all the time. */
    private static final Set<String> AGENT_CALLS = Set.of(
            "POST /agents/register",
            "POST /agents/{agent_id}/heartbeat",
            "POST /agents/{agent_id}/assignments/claim",
            "POST /tasks/{task_id}/results");

    private static final String MATCH = AccessRules.class.getName();
    private static final String AGENT_ID = "agent_id";
    private static final String SCOPED = "scoped";
    private static final String UNRECORDED = "unrecorded";
    /** What a token for one task is for; the task is checked where it is read. */
    private static final Set<String> OF_ONE_TASK = Set.of("GET /tasks/{task_id}", "GET /events", "GET /ws");
    /** Elements of a path before its remainder: a slash, v1. */
    private static final int VERSION_ELEMENTS = 2;

    private static final List<Rule> RULES =
            TABLE.lines().map(AccessRules::parse).toList();
    /** In the order in which Spring chooses handlers: /tasks/queues before /tasks/{task_id}. */
    private static final List<Rule> BY_SPECIFICITY = RULES.stream()
            .sorted(Comparator.comparing(Rule::path, PathPattern.SPECIFICITY_COMPARATOR))
            .toList();

    /**
     * A row of the table.
     *
     * @param roles who may use it; empty if no credential is needed
     * @param isForScoped whether that includes submitters who may see the tasks of one fairness key only
     * @param isRecorded whether it is an action for the audit trail
     */
    public record Rule(String method, PathPattern path, Set<Role> roles, boolean isForScoped, boolean isRecorded) {
        /** Method and path, with the names of variables. */
        public String endpoint() {
            return method + " " + documented(path.getPatternString());
        }

        /** Whether everyone may use it, without a credential. */
        public boolean isPublic() {
            return roles.isEmpty();
        }

        /** Whether it is a call that agents make all the time, and the caller may make it: refused calls count against the caller's own limit. */
        boolean isAgentCall(@Nullable Caller caller) {
            return caller != null && roles.contains(caller.role()) && AGENT_CALLS.contains(endpoint());
        }

        /** Whether a role agent may use it for its own id only. */
        public boolean isOwnAgentOnly() {
            return roles.contains(Role.AGENT) && path.getPatternString().contains("{" + AGENT_ID + "}");
        }
    }

    /**
     * The rule of a request.
     *
     * @param variables of its path
     */
    public record Match(Rule rule, Map<String, String> variables) {}

    /** Denies a path without a rule, which is no endpoint. */
    public static final class NoRuleException extends AccessDeniedException {
        NoRuleException(String path) {
            super("no such path: " + path);
        }
    }

    /** A path as in the OpenAPI document, which does not mark variables that may have slashes. */
    public static String documented(String pattern) {
        return pattern.replace("{*", "{");
    }

    private static Rule parse(String line) {
        List<String> words = List.of(line.split(" +"));
        return new Rule(
                words.get(0),
                PathPatternParser.defaultInstance.parse(words.get(1)),
                switch (words.get(2)) {
                    case "public" -> Set.of();
                    case "all" -> EnumSet.allOf(Role.class);
                    default -> {
                        EnumSet<Role> roles = EnumSet.of(Role.ADMIN);
                        words.stream()
                                .skip(2)
                                .filter(word -> !word.equals(UNRECORDED))
                                .map(word -> word.equals(SCOPED) ? Role.SUBMITTER : Role.parse(word))
                                .forEach(roles::add);
                        yield roles;
                    }
                },
                words.contains("all") || words.contains(SCOPED),
                !words.get(0).equals("GET") && !words.contains(UNRECORDED));
    }

    /** All rows of the table, in its order. */
    public static List<Rule> all() {
        return RULES;
    }

    /** What a role may do: methods and paths, without those that need no credential. */
    public static List<String> permissions(Role role) {
        return RULES.stream()
                .filter(rule -> rule.roles.contains(role))
                .map(Rule::endpoint)
                .toList();
    }

    /** The rule of an endpoint, given as in the OpenAPI document: without {@code /v1}. */
    public static Optional<Rule> of(String method, String pattern) {
        return RULES.stream()
                .filter(rule -> rule.method.equals(method)
                        && (rule.path.getPatternString().equals(pattern)
                                || rule.path.matches(PathContainer.parsePath(pattern))))
                .findFirst();
    }

    /**
     * Checks that there is a rule for each endpoint.
     *
     * @param endpoints each as method and path, separated by a space
     * @throws IllegalStateException naming those that have none
     */
    static void requireComplete(List<String> endpoints) {
        List<String> missing = endpoints.stream()
                .filter(endpoint -> {
                    String[] words = endpoint.split(" ");
                    String path = words[1].replaceFirst("^/v1(?=/|$)", "");
                    return of(words[0], path.isEmpty() ? "/" : path).isEmpty();
                })
                .toList();
        if (!missing.isEmpty()) {
            throw new IllegalStateException("endpoints without an access rule: " + String.join(", ", missing));
        }
    }

    @Override
    public AuthorizationDecision authorize(
            Supplier<? extends @Nullable Authentication> authentication, HttpServletRequest request) {
        Match match = match(request)
                .orElseThrow(() -> new NoRuleException(path(request).value()));
        if (!match.rule.isPublic()) {
            require(match.rule, match.variables, authentication.get());
        }
        return new AuthorizationDecision(true);
    }

    /** The rule of a request; empty if there is none. Remembered in the request. */
    public static Optional<Match> match(HttpServletRequest request) {
        if (request.getAttribute(MATCH) instanceof Match known) {
            return Optional.of(known);
        }
        String method = request.getMethod().equals("HEAD") ? "GET" : request.getMethod();
        PathContainer path = path(request);
        for (Rule rule : BY_SPECIFICITY) {
            PathPattern.PathMatchInfo info = rule.method.equals(method) ? rule.path.matchAndExtract(path) : null;
            if (info != null) {
                Match match = new Match(
                        rule,
                        rule.path.getPatternString().contains("{*")
                                ? withoutSlash(info.getUriVariables())
                                : info.getUriVariables());
                request.setAttribute(MATCH, match);
                return Optional.of(match);
            }
        }
        return Optional.empty();
    }

    /** A variable that may have slashes begins with the one before it. */
    private static Map<String, String> withoutSlash(Map<String, String> variables) {
        Map<String, String> values = new LinkedHashMap<>(variables);
        values.replaceAll((name, value) -> value.startsWith("/") ? value.substring(1) : value);
        return values;
    }

    private static PathContainer path(HttpServletRequest request) {
        PathContainer path = ServletRequestPathUtils.parse(request).pathWithinApplication();
        List<PathContainer.Element> elements = path.elements();
        if (elements.size() < VERSION_ELEMENTS || !elements.get(1).value().equals("v1")) {
            return path;
        }
        return elements.size() == VERSION_ELEMENTS ? PathContainer.parsePath("/") : path.subPath(VERSION_ELEMENTS);
    }

    private static void require(Rule rule, Map<String, String> variables, @Nullable Authentication authentication) {
        if (authentication == null || !(authentication.getPrincipal() instanceof Caller caller)) {
            throw new AccessDeniedException("a credential is required");
        }
        if (caller.taskId() != null && !OF_ONE_TASK.contains(rule.endpoint())) {
            throw new AccessDeniedException("this token is for reading task " + caller.taskId());
        }
        if (caller.isScoped() && !rule.isForScoped) {
            throw new AccessDeniedException("this credential is for the tasks of one fairness_key only");
        }
        String agentId = variables.get(AGENT_ID);
        if (!rule.roles.contains(caller.role())) {
            List<String> allowed = new ArrayList<>();
            Arrays.stream(Role.values()).filter(rule.roles::contains).forEach(role -> allowed.add(role.wireName()));
            throw new AccessDeniedException("role " + caller.role().wireName() + " may not " + rule.endpoint()
                    + ": it needs " + String.join(" or ", allowed));
        } else if (agentId != null) {
            caller.requireAgent(agentId);
        }
    }
}
