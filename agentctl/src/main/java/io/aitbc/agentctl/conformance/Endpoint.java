package io.aitbc.agentctl.conformance;

import io.aitbc.agentctl.conformance.Journal.RefusedException;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What agents call at a coordinator, also below {@code /v1}. */
enum Endpoint {
    HEALTH("GET", "/health()"),
    REGISTER("POST", "/agents/register()"),
    AGENT("GET", "/agents/([^/]+)"),
    DEREGISTER("DELETE", "/agents/([^/]+)"),
    HEARTBEAT("POST", "/agents/([^/]+)/heartbeat"),
    STATUS("PUT", "/agents/([^/]+)/status"),
    CLAIM("POST", "/agents/([^/]+)/assignments/claim"),
    REPORT("POST", "/tasks/([^/]+)/results");

    private final String method;
    private final Pattern path;

    Endpoint(String method, String path) {
        this.method = method;
        this.path = Pattern.compile("(?:/v1)?" + path);
    }

    /** @param id of the agent or the task in the path; empty if there is none */
    record Call(Endpoint endpoint, String id) {
        boolean isAboutAgent() {
            return endpoint.path.pattern().contains("/agents/(");
        }
    }

    /** @throws RefusedException with 404 or 405, if there is none */
    static Call find(String method, String path) {
        List<Call> atPath = Arrays.stream(values())
                .map(endpoint -> {
                    Matcher matcher = endpoint.path.matcher(path);
                    return matcher.matches() ? new Call(endpoint, matcher.group(1)) : null;
                })
                .filter(Objects::nonNull)
                .toList();
        if (atPath.isEmpty()) {
            throw new RefusedException(404, "no resource at " + path, false);
        }
        return atPath.stream()
                .filter(call -> call.endpoint.method.equals(method))
                .findFirst()
                .orElseThrow(() -> new RefusedException(405, "Method '" + method + "' is not supported.", false));
    }
}
