package io.aitbc.coordinator.live;

import static org.assertj.core.api.Assertions.assertThat;

import io.aitbc.coordinator.OverheardRedis;
import io.aitbc.coordinator.taskstate.StoredTask;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TaskFeedTest {
    @TempDir
    private Path folder;

    /** A page of an ended task that is reloaded must not wait until ended tasks are read again. */
    @Test
    void anEndedTaskIsReadAgainForANewSubscriber() {
        try (OverheardRedis overheard = new OverheardRedis(folder);
                TaskFeed feed = new TaskFeed(overheard.redis())) {
            StoredTask.put(overheard.redis().sync(), "done", Map.of("status", "completed"));
            List<String> ids = List.of("done");

            assertThat(feed.read(ids, ids)).containsKey("done");
            assertThat(feed.read(ids, List.of())).isEmpty();
            assertThat(feed.read(ids, ids)).containsKey("done");
        }
    }
}
