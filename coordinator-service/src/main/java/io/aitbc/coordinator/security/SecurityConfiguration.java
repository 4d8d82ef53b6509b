package io.aitbc.coordinator.security;

import io.aitbc.contracts.Topics;
import io.aitbc.coordinator.kafka.KafkaClients;
import io.aitbc.coordinator.kafka.SharedTopics;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.Filter;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.time.Clock;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.apache.kafka.clients.producer.Producer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.SmartInitializingSingleton;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.Ordered;
import org.springframework.security.authentication.AuthenticationServiceException;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configuration.EnableWebSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.access.intercept.AuthorizationFilter;
import org.springframework.security.web.authentication.AuthenticationFilter;
import org.springframework.security.web.csrf.CookieCsrfTokenRepository;
import org.springframework.security.web.csrf.CsrfFilter;
import org.springframework.security.web.csrf.CsrfToken;
import org.springframework.security.web.csrf.CsrfTokenRequestAttributeHandler;
import org.springframework.security.web.firewall.RequestRejectedHandler;
import org.springframework.web.servlet.HandlerExceptionResolver;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;

@Configuration(proxyBeanMethods = false)
@EnableConfigurationProperties({JwtSettings.class, Users.Settings.class})
class SecurityConfiguration {
    private static final Logger log = LoggerFactory.getLogger(SecurityConfiguration.class);

    @Bean
    SecurityTopic securityTopic(
            KafkaClients clients, SharedTopics shared, Producer<String, byte[]> producer, Topics topics, Clock clock) {
        return new SecurityTopic(clients, shared, producer, topics, clock);
    }

    /** @param adminKey without one, and without tokens, the first key is created and printed: nobody could create one over REST */
    @Bean(destroyMethod = "")
    ApiKeys apiKeys(
            SecurityTopic topic,
            Users users,
            @Value("${aitbc.security}") String security,
            @Value("${aitbc.admin.key}") String adminKey,
            JwtSettings jwt,
            Clock clock) {
        boolean isOff = security.equals("off");
        if (isOff) {
            log.warn(
                    "Security is off: whoever reaches this coordinator may do everything. AITBC_SECURITY=on turns it on.");
        } else {
            log.info("Security is on");
        }
        Optional<Consumer<String>> firstKey = isOff || !adminKey.isEmpty() || jwt.acceptsTokens()
                ? Optional.empty()
                : Optional.of(secret -> System.out.println("The first admin key, shown this once: " + secret));
        return new ApiKeys(topic, users, adminKey, firstKey, clock);
    }

    @Bean
    Users users(Users.Settings settings, SecurityTopic topic) {
        Users users = new Users(settings, topic::put, topic::isLoaded);
        topic.onRecord(Users.KIND, users::read);
        return users;
    }

    @Bean
    Tokens tokens(JwtSettings jwt, Users users) {
        return new Tokens(jwt, users);
    }

    @Bean
    UserTokens userTokens(JwtSettings jwt, Tokens tokens, Users users, Clock clock) {
        return new UserTokens(jwt, tokens, users, clock);
    }

    @Bean(destroyMethod = "")
    Signatures signatures(SecurityTopic topic, ApiKeys keys, @Value("${aitbc.security}") String security) {
        return security.equals("on") ? new Signatures(topic, keys) : Signatures.none();
    }

    @Bean(destroyMethod = "")
    OpenCalls openCalls(ApiKeys keys) {
        return new OpenCalls(keys);
    }

    /** While security is off, none of this exists: no filter, no firewall. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnProperty(name = "aitbc.security", havingValue = "on")
    @EnableWebSecurity
    static class WhenOn {
        @Bean
        Credentials credentials(ApiKeys keys, Tokens tokens) {
            return new Credentials(keys, tokens);
        }

        @Bean
        SecurityFilterChain securityFilterChain(
                HttpSecurity http,
                Credentials credentials,
                RateLimits limits,
                @Qualifier("handlerExceptionResolver") HandlerExceptionResolver problems) {
            AuthenticationFilter authentication = new AuthenticationFilter(credentials, credentials);
            authentication.setSuccessHandler((request, response, caller) -> {});
            authentication.setFailureHandler((request, response, failure) ->
                    problems.resolveException(request, response, null, counted(failure, request, limits)));
            return http.csrf(csrf -> csrf.csrfTokenRepository(CookieCsrfTokenRepository.withHttpOnlyFalse())
                            .csrfTokenRequestHandler(new SessionCsrfHandler(credentials))
                            .requireCsrfProtectionMatcher(request -> credentials.isOfSession(request)
                                    && CsrfFilter.DEFAULT_CSRF_MATCHER.matches(request)))
                    // The server sets them, also while security is off.
                    .headers(AbstractHttpConfigurer::disable)
                    .logout(AbstractHttpConfigurer::disable)
                    .requestCache(AbstractHttpConfigurer::disable)
                    .sessionManagement(sessions -> sessions.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
                    .exceptionHandling(handling -> handling.authenticationEntryPoint((request, response, failure) ->
                                    problems.resolveException(request, response, null, failure))
                            .accessDeniedHandler((request, response, failure) ->
                                    problems.resolveException(request, response, null, failure)))
                    .addFilterBefore(authentication, AuthorizationFilter.class)
                    .addFilterBefore(new RateLimitFilter(limits, problems), AuthorizationFilter.class)
                    .authorizeHttpRequests(requests -> requests.requestMatchers(ManagementPort::isFor)
                            .permitAll()
                            .anyRequest()
                            .access((caller, context) -> new AccessRules().authorize(caller, context.getRequest())))
                    .build();
        }

        /** The failure, or that there were too many. A valid credential is accepted all the same. */
        private static Exception counted(Exception failure, HttpServletRequest request, RateLimits limits) {
            try {
                if (!(failure instanceof AuthenticationServiceException)) {
                    limits.failed(request.getRemoteAddr());
                }
                return failure;
            } catch (ThrottledException e) {
                return e;
            }
        }

        /** Paths that servers and frameworks read differently, such as {@code //} and {@code ;}. */
        @Bean
        RequestRejectedHandler requestRejectedHandler(
                @Qualifier("handlerExceptionResolver") HandlerExceptionResolver problems) {
            return (request, response, rejected) -> problems.resolveException(request, response, null, rejected);
        }

        /** Before bodies are read. */
        @Bean
        FilterRegistrationBean<Filter> securityFilter(
                @Qualifier("springSecurityFilterChain") Filter springSecurityFilterChain) {
            FilterRegistrationBean<Filter> registration = new FilterRegistrationBean<>(springSecurityFilterChain);
            registration.setOrder(Ordered.HIGHEST_PRECEDENCE + 3);
            registration.setDispatcherTypes(EnumSet.of(DispatcherType.REQUEST, DispatcherType.ASYNC));
            return registration;
        }

        /** Fails the start if an endpoint has no rule. */
        @Bean
        SmartInitializingSingleton accessRulesCheck(
                @Qualifier("requestMappingHandlerMapping") RequestMappingHandlerMapping mapping) {
            return () -> AccessRules.requireComplete(endpoints(mapping));
        }
    }

    /** Sends the token to browsers with a session only; other clients need none. */
    private static final class SessionCsrfHandler extends CsrfTokenRequestAttributeHandler {
        private final Credentials credentials;

        SessionCsrfHandler(Credentials credentials) {
            this.credentials = credentials;
        }

        @Override
        public void handle(HttpServletRequest request, HttpServletResponse response, Supplier<CsrfToken> token) {
            super.handle(request, response, token);
            if (credentials.isOfSession(request)) {
                // Loading it sets the cookie.
                request.setAttribute(CsrfToken.class.getName(), token.get());
            }
        }
    }

    /** All endpoints, each as method and path. */
    static List<String> endpoints(RequestMappingHandlerMapping mapping) {
        return mapping.getHandlerMethods().keySet().stream()
                .flatMap(info -> info.getMethodsCondition().getMethods().stream()
                        .flatMap(method -> info.getPatternValues().stream().map(path -> method + " " + path)))
                .sorted()
                .toList();
    }
}
