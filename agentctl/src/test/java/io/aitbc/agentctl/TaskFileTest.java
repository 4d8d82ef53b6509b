package io.aitbc.agentctl;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.agentctl.TaskFile.Line;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.StringReader;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class TaskFileTest {
    @Test
    void linesKeepTheirNumbersOverBlankOnes() throws IOException {
        assertThat(batches("a\n\n  \nb\n")).containsExactly(List.of(new Line(1, "a"), new Line(4, "b")));
    }

    @Test
    void aBatchHoldsAThousand() throws IOException {
        String lines = IntStream.range(0, 2_001).mapToObj(String::valueOf).collect(Collectors.joining("\n"));
        assertThat(batches(lines).stream().map(List::size)).containsExactly(1_000, 1_000, 1);
    }

    @Test
    void aBatchIsNoLargerThanABodyMayBeUnlessItIsOneTask() throws IOException {
        String some = "x".repeat(400_000);
        String tooLarge = "x".repeat(3_000_000);
        assertThat(batches(String.join("\n", some, some, some, tooLarge, "a")).stream()
                        .map(batch -> batch.stream().map(Line::number).toList()))
                .containsExactly(List.of(1, 2), List.of(3), List.of(4), List.of(5));
    }

    private static List<List<Line>> batches(String text) throws IOException {
        List<List<Line>> batches = new ArrayList<>();
        try (TaskFile file = TaskFile.of(new BufferedReader(new StringReader(text)))) {
            for (List<Line> batch = file.nextBatch(); !batch.isEmpty(); batch = file.nextBatch()) {
                batches.add(batch);
            }
        }
        return batches;
    }
}
