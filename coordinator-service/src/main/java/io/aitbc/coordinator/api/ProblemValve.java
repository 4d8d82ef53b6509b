package io.aitbc.coordinator.api;

import io.aitbc.contracts.Json;
import java.io.IOException;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ErrorReportValve;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;

/** Answers requests that the server rejects before they reach the application, in the format of all other problems. */
public final class ProblemValve extends ErrorReportValve {
    @Override
    protected void report(Request request, Response response, @Nullable Throwable throwable) {
        HttpStatus status = HttpStatus.resolve(response.getStatus());
        if (status == null || !status.isError() || response.getContentWritten() > 0 || !response.setErrorReported()) {
            return;
        }
        try {
            response.setContentType(MediaType.APPLICATION_PROBLEM_JSON_VALUE);
            response.getOutputStream()
                    .write(Json.bytes(Json.object()
                            .put("detail", detail(status))
                            .put("message", detail(status))
                            .put(
                                    "timestamp",
                                    request.getCoyoteRequest().getStartInstant().toString())
                            .put("status", status.value())
                            .put("title", status.getReasonPhrase())));
            response.finishResponse();
        } catch (IOException e) {
            container.getLogger().debug("Client disconnected", e);
        }
    }

    private static String detail(HttpStatus status) {
        return switch (status) {
            case BAD_REQUEST -> "the request line or headers are too long, invalid, or contain an encoded slash";
            default -> "the server refused the request: " + status.getReasonPhrase();
        };
    }
}
