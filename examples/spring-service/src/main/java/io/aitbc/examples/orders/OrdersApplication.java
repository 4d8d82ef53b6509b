package io.aitbc.examples.orders;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.util.backoff.ExponentialBackOff;

@SpringBootApplication
public class OrdersApplication {
    private static final long INITIAL_BACKOFF_MS = 500;
    private static final long MAX_BACKOFF_MS = 30_000;

    public static void main(String[] arguments) {
        SpringApplication.run(OrdersApplication.class, arguments);
    }

    /** Repeats a record until it is handled. By default Spring skips it after ten failures, and the outcome would be lost. */
    @Bean
    DefaultErrorHandler retryForever() {
        ExponentialBackOff backOff = new ExponentialBackOff(INITIAL_BACKOFF_MS, 2);
        backOff.setMaxInterval(MAX_BACKOFF_MS);
        return new DefaultErrorHandler(backOff);
    }
}
