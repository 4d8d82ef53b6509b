package io.aitbc.contracts;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CapabilityTest {
    @ParameterizedTest(name = "{0} of an agent with {1}: {2}")
    @CsvSource(delimiter = '|', textBlock = """
            hash         | hash echo          | true
            hash         | hash:2             | false
            gpu:2        | gpu:2              | true
            gpu:2        | gpu:4              | false
            gpu>=2       | gpu:2              | true
            gpu>=2       | gpu:4              | true
            gpu>=2       | gpu:1              | false
            gpu>=2       | gpu                | false
            gpu>=2       | gpus:4             | false
            gpu>=2       | gpu:1 gpu:3        | true
            gpu>=2       | gpu:many           | false
            gpu>=2       | gpu:12345678901234 | false
            gpu>=0       | hash               | false
            cuda>=12     | cuda:12.4          | true
            cuda>=12.4   | cuda:12            | false
            cuda>=12.0   | cuda:12            | true
            cuda>=12.9   | cuda:12.10         | true
            cuda>=12.4.1 | cuda:12.4          | false
            cuda>=9      | cuda:10            | true
            a:b>=2       | a:b:3              | true
            py>=3        | py>=3              | true
            """)
    void aDemandIsMetByTheSameTextOrByAtLeastTheVersion(String demand, String offered, boolean met) {
        assertThat(Capability.meets(List.of(offered.split(" ")), demand)).isEqualTo(met);
    }

    @Test
    void allDemandsHaveToBeMet() {
        List<String> offered = List.of("hash", "gpu:4");

        assertThat(Capability.meetsAll(offered, List.of())).isTrue();
        assertThat(Capability.meetsAll(offered, List.of("hash", "gpu>=2"))).isTrue();
        assertThat(Capability.meetsAll(offered, List.of("gpu>=2", "echo"))).isFalse();
    }
}
