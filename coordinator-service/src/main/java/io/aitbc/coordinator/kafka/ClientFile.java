package io.aitbc.coordinator.kafka;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.common.utils.Utils;

/**
 * Settings of all Kafka clients from a properties file, as Kafka's own tools take one with {@code --command-config}. It is not read as
 * Spring properties: Spring would take Kafka's references to secrets, such as <code>${file:…}</code>, for its own placeholders.
 */
record ClientFile(Map<String, Object> settings) {
    /** @param file empty: no settings */
    static ClientFile read(String file) {
        if (file.isBlank()) {
            return new ClientFile(Map.of());
        }
        try {
            Properties properties = Utils.loadProps(file.trim());
            // As with Kafka's tools, the servers are given beside the file.
            properties.remove(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG);
            Map<String, Object> settings = new HashMap<>();
            properties.stringPropertyNames().forEach(name -> settings.put(name, properties.getProperty(name)));
            return new ClientFile(Map.copyOf(settings));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Without values, which may be secret. */
    @Override
    public String toString() {
        return "ClientFile" + settings.keySet();
    }
}
