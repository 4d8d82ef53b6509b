package io.aitbc.coordinator.bulk;

import io.aitbc.coordinator.assign.Cancellations;
import io.aitbc.coordinator.deadletter.DeadLetterArchive;
import io.aitbc.coordinator.history.BulkOperations;
import io.aitbc.coordinator.history.TaskHistory;
import io.aitbc.coordinator.intake.Redrive;
import io.aitbc.coordinator.taskstate.TaskStates;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

@Configuration(proxyBeanMethods = false)
class BulkConfiguration {
    @Bean(destroyMethod = "")
    BulkRunner bulkRunner(
            BulkOperations operations,
            TaskHistory history,
            Cancellations cancellations,
            Redrive redrive,
            DeadLetterArchive letters,
            TaskStates states) {
        return new BulkRunner(operations, history, cancellations, redrive, letters, states);
    }
}
