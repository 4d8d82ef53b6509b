package io.aitbc.coordinator.api;

import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority.InvalidPriorityException;
import io.aitbc.coordinator.audit.AuditNote;
import io.aitbc.coordinator.dispatch.ClusterControl.UnfinishedException;
import io.aitbc.coordinator.history.TaskHistory;
import io.aitbc.coordinator.intake.Redrive;
import io.aitbc.coordinator.intake.Submissions.IdTakenException;
import io.aitbc.coordinator.intake.Submissions.NotAcceptedException;
import io.aitbc.coordinator.queue.QueueSizes.KafkaUnavailableException;
import io.aitbc.coordinator.security.AccessRules;
import io.aitbc.coordinator.security.ApiKeys;
import io.aitbc.coordinator.security.ThrottledException;
import io.aitbc.coordinator.security.UserTokens.NoSecretException;
import io.lettuce.core.RedisException;
import java.net.URI;
import java.time.Clock;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.tomcat.util.http.InvalidParameterException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.TypeMismatchException;
import org.springframework.core.MethodParameter;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.MediaType;
import org.springframework.http.ProblemDetail;
import org.springframework.http.ResponseEntity;
import org.springframework.http.converter.HttpMessageConverter;
import org.springframework.http.converter.HttpMessageNotReadableException;
import org.springframework.http.server.ServerHttpRequest;
import org.springframework.http.server.ServerHttpResponse;
import org.springframework.http.server.ServletServerHttpRequest;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.security.authentication.AuthenticationServiceException;
import org.springframework.security.authentication.InsufficientAuthenticationException;
import org.springframework.security.core.AuthenticationException;
import org.springframework.security.web.csrf.CsrfException;
import org.springframework.security.web.firewall.RequestRejectedException;
import org.springframework.web.ErrorResponse;
import org.springframework.web.HttpMediaTypeNotSupportedException;
import org.springframework.web.bind.MissingServletRequestParameterException;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestControllerAdvice;
import org.springframework.web.context.request.ServletWebRequest;
import org.springframework.web.context.request.WebRequest;
import org.springframework.web.method.annotation.HandlerMethodValidationException;
import org.springframework.web.server.ResponseStatusException;
import org.springframework.web.servlet.mvc.method.annotation.ResponseBodyAdvice;
import org.springframework.web.servlet.mvc.method.annotation.ResponseEntityExceptionHandler;
import org.springframework.web.servlet.resource.NoResourceFoundException;
import tools.jackson.core.JacksonException;

/** Maps errors to problem documents (RFC 9457) whose {@code detail} is one human-readable sentence. */
@RestControllerAdvice
class Problems extends ResponseEntityExceptionHandler implements ResponseBodyAdvice<Object> {
    private static final Logger log = LoggerFactory.getLogger(Problems.class);

    private final Clock clock;

    Problems(Clock clock) {
        this.clock = clock;
    }

    @Override
    public boolean supports(MethodParameter returnType, Class<? extends HttpMessageConverter<?>> converter) {
        return true;
    }

    @Override
    public @Nullable Object beforeBodyWrite(
            @Nullable Object body,
            MethodParameter returnType,
            MediaType contentType,
            Class<? extends HttpMessageConverter<?>> converter,
            ServerHttpRequest request,
            ServerHttpResponse response) {
        if (body instanceof ProblemDetail problem) {
            redactKeys(problem);
            addOlderFields(problem, clock.instant());
            if (request instanceof ServletServerHttpRequest servlet) {
                AuditNote.of(servlet.getServletRequest()).failed(problem.getDetail());
            }
        }
        return body;
    }

    /** A key that was given in a path: clients log errors, and show them. */
    private static void redactKeys(ProblemDetail problem) {
        UnaryOperator<String> redact =
                text -> text.replaceAll(ApiKeys.PREFIX + "[A-Za-z0-9_-]+", ApiKeys.PREFIX + "...");
        if (problem.getDetail() != null) {
            problem.setDetail(redact.apply(problem.getDetail()));
        }
        if (problem.getInstance() != null) {
            problem.setInstance(URI.create(redact.apply(problem.getInstance().toString())));
        }
    }

    /** Adds the fields in which clients of the AITBC coordinator expect the error. */
    static void addOlderFields(ProblemDetail problem, Instant now) {
        problem.setProperty("message", problem.getDetail());
        problem.setProperty("timestamp", now);
    }

    static ResponseStatusException agentNotFound() {
        return new ResponseStatusException(HttpStatus.NOT_FOUND, "Agent not found");
    }

    /** Why a task may not name a limit. */
    static String ofAnotherKey(String limit) {
        return "this credential may not use the limit " + limit + ", which is another fairness_key's";
    }

    static ResponseStatusException taskNotFound() {
        return new ResponseStatusException(HttpStatus.NOT_FOUND, "Task not found");
    }

    static ResponseStatusException notFound(String detail) {
        return new ResponseStatusException(HttpStatus.NOT_FOUND, detail);
    }

    static ResponseStatusException conflict(String detail) {
        return new ResponseStatusException(HttpStatus.CONFLICT, detail);
    }

    static ResponseStatusException unprocessable(@Nullable String detail) {
        return new ResponseStatusException(HttpStatus.UNPROCESSABLE_CONTENT, detail);
    }

    @ExceptionHandler
    ProblemDetail malformed(Json.MalformedMessageException e) {
        return badInput(e);
    }

    @ExceptionHandler
    ProblemDetail invalidName(InvalidTopicException e) {
        return problem(HttpStatus.UNPROCESSABLE_CONTENT, "Kafka does not accept this topic name: " + e.getMessage());
    }

    @ExceptionHandler
    ResponseEntity<ProblemDetail> throttled(ThrottledException e) {
        return ResponseEntity.status(HttpStatus.TOO_MANY_REQUESTS)
                .header(HttpHeaders.RETRY_AFTER, String.valueOf(e.retryAfterSeconds()))
                .body(problem(HttpStatus.TOO_MANY_REQUESTS, e.getMessage()));
    }

    @ExceptionHandler
    ProblemDetail idTaken(IdTakenException e) {
        return problem(HttpStatus.CONFLICT, e.getMessage());
    }

    @ExceptionHandler
    ProblemDetail noSecret(NoSecretException e) {
        return problem(HttpStatus.CONFLICT, e.getMessage());
    }

    @ExceptionHandler
    ProblemDetail invalidPriority(InvalidPriorityException e) {
        return problem(HttpStatus.BAD_REQUEST, e.getMessage());
    }

    @ExceptionHandler
    ResponseEntity<ProblemDetail> unauthenticated(AuthenticationException e) {
        String detail = e instanceof InsufficientAuthenticationException
                ? "a credential is required: send a key or a token as Authorization: Bearer, or a key as X-API-Key"
                : Json.sentence(String.valueOf(e.getMessage()));
        return ResponseEntity.status(HttpStatus.UNAUTHORIZED)
                .header(HttpHeaders.WWW_AUTHENTICATE, "Bearer")
                .body(problem(HttpStatus.UNAUTHORIZED, detail));
    }

    @ExceptionHandler
    ProblemDetail notAuthenticatedNow(AuthenticationServiceException e) {
        return problem(HttpStatus.SERVICE_UNAVAILABLE, e.getMessage());
    }

    @ExceptionHandler
    ProblemDetail csrf(CsrfException e) {
        return problem(HttpStatus.FORBIDDEN, "send the cookie XSRF-TOKEN in the header X-XSRF-TOKEN");
    }

    @ExceptionHandler
    ProblemDetail denied(AccessDeniedException e) {
        return problem(
                e instanceof AccessRules.NoRuleException ? HttpStatus.NOT_FOUND : HttpStatus.FORBIDDEN, e.getMessage());
    }

    @ExceptionHandler
    ProblemDetail rejected(RequestRejectedException e) {
        return problem(HttpStatus.BAD_REQUEST, "the URL, or a header, has characters that are not allowed there");
    }

    @ExceptionHandler
    ProblemDetail notAccepted(NotAcceptedException e) {
        return e.getCause() instanceof RecordTooLargeException
                ? problem(HttpStatus.CONTENT_TOO_LARGE, "the record exceeds the maximum size of its topic")
                : problem(HttpStatus.SERVICE_UNAVAILABLE, e.getMessage());
    }

    @ExceptionHandler
    ProblemDetail notPossible(Redrive.NotPossibleException e) {
        return problem(e.isUnknown() ? HttpStatus.NOT_FOUND : HttpStatus.CONFLICT, e.getMessage());
    }

    @ExceptionHandler({KafkaUnavailableException.class, UnfinishedException.class})
    ProblemDetail unavailable(RuntimeException e) {
        return problem(HttpStatus.SERVICE_UNAVAILABLE, e.getMessage());
    }

    @ExceptionHandler
    ProblemDetail noHistory(TaskHistory.UnavailableException e) {
        return problem(e.isOff() ? HttpStatus.NOT_IMPLEMENTED : HttpStatus.SERVICE_UNAVAILABLE, e.getMessage());
    }

    @ExceptionHandler
    ProblemDetail kafkaFailed(KafkaException e) {
        return problem(HttpStatus.SERVICE_UNAVAILABLE, "Kafka request failed: " + e.getMessage());
    }

    @ExceptionHandler
    ProblemDetail redisFailed(RedisException e) {
        return problem(HttpStatus.SERVICE_UNAVAILABLE, "Redis request failed: " + e.getMessage());
    }

    @ExceptionHandler
    ProblemDetail unreadableParameters(InvalidParameterException e) {
        return problem(HttpStatus.BAD_REQUEST, "the query string is not valid percent-encoded UTF-8");
    }

    @ExceptionHandler
    ProblemDetail internalError(Exception e) {
        log.error("Unexpected error while handling a request", e);
        return problem(HttpStatus.INTERNAL_SERVER_ERROR, "internal error; see the coordinator's log");
    }

    @Override
    protected @Nullable ResponseEntity<Object> handleHttpMessageNotReadable(
            HttpMessageNotReadableException e, HttpHeaders headers, HttpStatusCode status, WebRequest request) {
        return answer(e, headers, request, badInput(e));
    }

    @Override
    protected @Nullable ResponseEntity<Object> handleTypeMismatch(
            TypeMismatchException e, HttpHeaders headers, HttpStatusCode status, WebRequest request) {
        return answer(e, headers, request, badInput(e));
    }

    @Override
    protected @Nullable ResponseEntity<Object> handleMissingServletRequestParameter(
            MissingServletRequestParameterException e, HttpHeaders headers, HttpStatusCode status, WebRequest request) {
        return answer(
                e, headers, request, problem(HttpStatus.UNPROCESSABLE_CONTENT, e.getParameterName() + " is required"));
    }

    @Override
    protected @Nullable ResponseEntity<Object> handleHandlerMethodValidationException(
            HandlerMethodValidationException e, HttpHeaders headers, HttpStatusCode status, WebRequest request) {
        String detail = e.getParameterValidationResults().stream()
                .flatMap(result -> result.getResolvableErrors().stream()
                        .map(error -> name(result.getMethodParameter()) + " " + error.getDefaultMessage()))
                .collect(Collectors.joining("; "));
        return answer(e, headers, request, problem(HttpStatus.UNPROCESSABLE_CONTENT, detail));
    }

    @Override
    protected @Nullable ResponseEntity<Object> handleHttpMediaTypeNotSupported(
            HttpMediaTypeNotSupportedException e, HttpHeaders headers, HttpStatusCode status, WebRequest request) {
        return answer(
                e,
                headers,
                request,
                problem(status, "the body must be JSON, sent with Content-Type: application/json"));
    }

    @Override
    protected @Nullable ResponseEntity<Object> handleNoResourceFoundException(
            NoResourceFoundException e, HttpHeaders headers, HttpStatusCode status, WebRequest request) {
        return answer(e, headers, request, problem(status, "no resource at /" + e.getResourcePath()));
    }

    /** Overridden because Spring parses the address as a URI, which fails for one such as {@code //}. */
    @Override
    protected @Nullable ResponseEntity<Object> handleExceptionInternal(
            Exception e, @Nullable Object body, HttpHeaders headers, HttpStatusCode status, WebRequest request) {
        Object answer = body == null && e instanceof ErrorResponse response ? response.getBody() : body;
        if (answer instanceof ProblemDetail problem && request instanceof ServletWebRequest web) {
            problem.setDetail(Json.sentence(String.valueOf(problem.getDetail())));
            problem.setInstance(URI.create(web.getRequest().getRequestURI().replaceFirst("^/+", "/")));
        }
        return super.handleExceptionInternal(e, answer, headers, status, request);
    }

    private @Nullable ResponseEntity<Object> answer(
            Exception e, HttpHeaders headers, WebRequest request, ProblemDetail problem) {
        return handleExceptionInternal(e, problem, headers, HttpStatusCode.valueOf(problem.getStatus()), request);
    }

    private static ProblemDetail problem(HttpStatusCode status, @Nullable String detail) {
        return ProblemDetail.forStatusAndDetail(status, Json.sentence(String.valueOf(detail)));
    }

    private static ProblemDetail badInput(Exception e) {
        if (cause(e, BodyLimit.ExceededException.class).isPresent()) {
            return cause(e, BodyLimit.ExceededException.class).get().getBody();
        }
        Optional<InvalidPriorityException> priority = cause(e, InvalidPriorityException.class);
        if (priority.isPresent()) {
            return problem(HttpStatus.BAD_REQUEST, priority.get().getMessage());
        }
        String detail = Stream.of(
                        cause(e, Json.MalformedMessageException.class).map(Throwable::getMessage),
                        cause(e, JacksonException.class).map(Json::reason),
                        cause(e, NumberFormatException.class).map(number -> "must be a number"),
                        cause(e, DateTimeParseException.class)
                                .map(time -> "must be a time such as 2026-01-31T12:00:00Z"),
                        cause(e, IllegalArgumentException.class).map(Throwable::getMessage))
                .flatMap(Optional::stream)
                .findFirst()
                .orElse("a JSON body is required");
        return problem(
                HttpStatus.UNPROCESSABLE_CONTENT,
                e instanceof TypeMismatchException mismatch ? mismatch.getPropertyName() + ": " + detail : detail);
    }

    private static String name(MethodParameter parameter) {
        PathVariable variable = parameter.getParameterAnnotation(PathVariable.class);
        RequestParam query = parameter.getParameterAnnotation(RequestParam.class);
        String published = variable != null ? variable.name() : query != null ? query.name() : "";
        return published.isEmpty() ? String.valueOf(parameter.getParameterName()) : published;
    }

    private static <T extends Throwable> Optional<T> cause(Throwable e, Class<T> type) {
        return Stream.iterate(e, thrown -> thrown != null, Throwable::getCause)
                .filter(type::isInstance)
                .map(type::cast)
                // The innermost cause is the most specific.
                .reduce((outer, inner) -> inner);
    }
}
