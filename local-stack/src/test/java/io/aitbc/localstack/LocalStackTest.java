package io.aitbc.localstack;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.junit.jupiter.api.Test;

class LocalStackTest {
    @Test
    void dataSurvivesARestartOfBoth() throws Exception {
        try (LocalStack stack = LocalStack.start()) {
            try (Admin admin = Admin.create(Map.of("bootstrap.servers", stack.bootstrapServers()))) {
                admin.createTopics(List.of(new NewTopic("kept", 1, (short) 1)))
                        .all()
                        .get();
            }
            assertThat(redis(stack, "SET kept yes")).isEqualTo("+OK");

            stack.stopKafka();
            stack.stopRedis();
            stack.startKafka();
            stack.startRedis();

            try (Admin admin = Admin.create(Map.of("bootstrap.servers", stack.bootstrapServers()))) {
                assertThat(admin.listTopics().names().get()).contains("kept");
            }
            assertThat(redis(stack, "STRLEN kept")).isEqualTo(":3");
        }
    }

    private static String redis(LocalStack stack, String command) throws IOException {
        URI url = URI.create(stack.redisUrl());
        try (Socket socket = new Socket(url.getHost(), url.getPort());
                BufferedReader reader =
                        new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.US_ASCII))) {
            socket.getOutputStream().write((command + "\r\n").getBytes(StandardCharsets.US_ASCII));
            return reader.readLine();
        }
    }
}
