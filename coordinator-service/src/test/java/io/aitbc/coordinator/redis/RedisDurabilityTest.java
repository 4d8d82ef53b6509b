package io.aitbc.coordinator.redis;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RedisDurabilityTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "maxmemory:0;maxmemory_policy:noeviction;aof_enabled:1;connected_slaves:0 |",
                "maxmemory:0;maxmemory_policy:allkeys-lru;aof_enabled:1 |",
                "maxmemory:1000000;maxmemory_policy:noeviction;aof_enabled:1 |",
                "maxmemory:1000000;maxmemory_policy:allkeys-lru;aof_enabled:1 | maxmemory-policy allkeys-lru",
                "maxmemory:1000000;maxmemory_policy:volatile-ttl;aof_enabled:1 | maxmemory-policy volatile-ttl",
                "aof_enabled:0;connected_slaves:0 | no append-only file",
                "aof_enabled:1;connected_slaves:2 | min-replicas-to-write 0",
                "aof_enabled:1;connected_slaves:1 |",
                "aof_enabled:1;connected_slaves:2;min_slaves_good_slaves:2 |",
            })
    void aSettingThatCanLoseDataIsNamed(String info, String problem) {
        var problems = RedisDurability.problems("# Server\r\n" + info.replace(";", "\r\n"));

        if (problem == null) {
            assertThat(problems).isEmpty();
        } else {
            assertThat(problems).singleElement().asString().contains(problem);
        }
    }
}
