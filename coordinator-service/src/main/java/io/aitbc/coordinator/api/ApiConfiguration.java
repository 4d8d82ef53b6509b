package io.aitbc.coordinator.api;

import io.aitbc.contracts.AgentStatus;
import io.aitbc.contracts.Json;
import io.aitbc.contracts.Priority;
import io.aitbc.coordinator.dispatch.LaneStatsReporter;
import io.aitbc.coordinator.security.Caller;
import io.aitbc.coordinator.security.Logins;
import io.aitbc.coordinator.security.RateLimitSettings;
import io.aitbc.coordinator.security.RateLimits;
import io.aitbc.coordinator.security.Users;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.time.Clock;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.convert.DurationStyle;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.MethodParameter;
import org.springframework.core.Ordered;
import org.springframework.format.FormatterRegistry;
import org.springframework.http.CacheControl;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ProblemDetail;
import org.springframework.http.converter.json.ProblemDetailJacksonMixin;
import org.springframework.web.HttpMediaTypeNotSupportedException;
import org.springframework.web.accept.FixedContentNegotiationStrategy;
import org.springframework.web.bind.support.WebDataBinderFactory;
import org.springframework.web.context.request.NativeWebRequest;
import org.springframework.web.cors.CorsConfiguration;
import org.springframework.web.filter.CorsFilter;
import org.springframework.web.filter.UrlHandlerFilter;
import org.springframework.web.method.support.HandlerMethodArgumentResolver;
import org.springframework.web.method.support.ModelAndViewContainer;
import org.springframework.web.servlet.HandlerExceptionResolver;
import org.springframework.web.servlet.HandlerInterceptor;
import org.springframework.web.servlet.config.annotation.ContentNegotiationConfigurer;
import org.springframework.web.servlet.config.annotation.InterceptorRegistry;
import org.springframework.web.servlet.config.annotation.ResourceHandlerRegistry;
import org.springframework.web.servlet.config.annotation.WebMvcConfigurer;
import tools.jackson.databind.json.JsonMapper;

@Configuration(proxyBeanMethods = false)
@EnableConfigurationProperties({ApiSettings.class, RateLimitSettings.class})
class ApiConfiguration implements WebMvcConfigurer {
    /** The JSON mapper of Kafka messages, so that REST uses the same JSON. */
    @Bean
    JsonMapper jsonMapper() {
        return Json.MAPPER
                .rebuild()
                .addMixIn(ProblemDetail.class, ProblemDetailJacksonMixin.class)
                .build();
    }

    @Bean
    RateLimits rateLimits(RateLimitSettings settings, LaneStatsReporter stats) {
        return new RateLimits(settings, () -> stats.all().size());
    }

    @Bean
    Logins logins(Users users, RateLimits limits) {
        return new Logins(users, limits);
    }

    @Bean
    FilterRegistrationBean<BodyLimit> bodyLimit(ApiSettings settings, JsonMapper mapper, Clock clock) {
        FilterRegistrationBean<BodyLimit> registration =
                new FilterRegistrationBean<>(new BodyLimit(settings.maxBodyBytes(), mapper, clock));
        // After the security filter.
        registration.setOrder(Ordered.HIGHEST_PRECEDENCE + 4);
        return registration;
    }

    /** Before the security filter: a browser asks without a credential whether it may send one. */
    @Bean
    FilterRegistrationBean<CorsFilter> otherOrigins(
            @Value("${aitbc.cors.origins}") List<String> origins,
            @Qualifier("handlerExceptionResolver") HandlerExceptionResolver problems) {
        CorsConfiguration allowed = OtherOrigins.allowing(origins);
        CorsFilter filter = new CorsFilter(request -> allowed);
        filter.setCorsProcessor(new OtherOrigins(problems));
        FilterRegistrationBean<CorsFilter> registration = new FilterRegistrationBean<>(filter);
        // Inside the audit trail.
        registration.setOrder(Ordered.HIGHEST_PRECEDENCE + 1);
        return registration;
    }

    /** Clients of the AITBC coordinator end paths with a slash. The redirect keeps method and body. */
    @Bean
    FilterRegistrationBean<UrlHandlerFilter> trailingSlashes() {
        FilterRegistrationBean<UrlHandlerFilter> registration =
                new FilterRegistrationBean<>(UrlHandlerFilter.trailingSlashHandler(
                                "/agents/**",
                                "/tasks/**",
                                "/registry/**",
                                "/load-balancer/**",
                                "/health/**",
                                "/metrics/**",
                                "/keys/**",
                                "/auth/**",
                                "/roles/**",
                                "/users/**",
                                "/v1/**")
                        .redirect(HttpStatus.PERMANENT_REDIRECT)
                        .build());
        registration.setOrder(Ordered.HIGHEST_PRECEDENCE + 2);
        return registration;
    }

    /** Forces JSON responses, problems included, whatever the Accept header says. */
    @Override
    public void configureContentNegotiation(ContentNegotiationConfigurer negotiation) {
        negotiation.strategies(List.of(new FixedContentNegotiationStrategy(MediaType.ALL)));
    }

    /** Serves the JSON Schemas of all messages. */
    @Override
    public void addResourceHandlers(ResourceHandlerRegistry registry) {
        registry.addResourceHandler("/schemas/*.json")
                .addResourceLocations("classpath:/schemas/")
                .setCacheControl(CacheControl.noCache());
    }

    /** Rejects ranges such as {@code text/*} as content types: Spring would fail only when it reads the body. */
    @Override
    public void addInterceptors(InterceptorRegistry registry) {
        registry.addInterceptor(new HandlerInterceptor() {
            @Override
            public boolean preHandle(HttpServletRequest request, HttpServletResponse response, Object handler)
                    throws HttpMediaTypeNotSupportedException {
                String type = request.getContentType();
                if (type != null && type.contains("*")) {
                    throw new HttpMediaTypeNotSupportedException("not a media type: " + type);
                }
                return true;
            }
        });
    }

    /** Handlers declare a parameter of type Caller. */
    @Override
    public void addArgumentResolvers(List<HandlerMethodArgumentResolver> resolvers) {
        resolvers.add(new HandlerMethodArgumentResolver() {
            @Override
            public boolean supportsParameter(MethodParameter parameter) {
                return parameter.getParameterType() == Caller.class;
            }

            @Override
            public Caller resolveArgument(
                    MethodParameter parameter,
                    @Nullable ModelAndViewContainer container,
                    NativeWebRequest request,
                    @Nullable WebDataBinderFactory binders) {
                return Caller.current();
            }
        });
    }

    @Override
    public void addFormatters(FormatterRegistry registry) {
        registry.addConverter(String.class, Priority.class, Priority::parse);
        registry.addConverter(
                String.class, Duration.class, text -> DurationStyle.detectAndParse(text, ChronoUnit.SECONDS));
        registry.addConverter(String.class, AgentStatus.class, AgentStatus::parse);
    }
}
