package io.aitbc.coordinator.kafka;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.UnknownMemberIdException;

/** The members of the consumer groups that coordinators share. They are static ones, so that they can be removed by their ids. */
public final class GroupMembers {
    private static final Duration TIMEOUT = Duration.ofSeconds(3);

    private final Admin admin;
    private final KafkaClients clients;

    GroupMembers(Admin admin, KafkaClients clients) {
        this.admin = admin;
        this.clients = clients;
    }

    /**
     * Removes a coordinator from all groups. Its consumers rejoin if they are alive.
     *
     * @param coordinatorId see {@link CoordinatorId}
     * @return false if it was a member of none; fails if Kafka refuses a removal, or does not respond within 3 s, once all groups were tried
     */
    public CompletableFuture<Boolean> remove(String coordinatorId) {
        List<CompletableFuture<Boolean>> removals = clients.groups().stream()
                .map(group -> remove(coordinatorId, group))
                .toList();
        return CompletableFuture.allOf(removals.toArray(CompletableFuture[]::new))
                .thenApply(all -> removals.stream().anyMatch(CompletableFuture::join));
    }

    private CompletableFuture<Boolean> remove(String coordinatorId, String group) {
        MemberToRemove member = new MemberToRemove(coordinatorId);
        RemoveMembersFromConsumerGroupOptions options = new RemoveMembersFromConsumerGroupOptions(List.of(member));
        options.reason("sends no heartbeats to other coordinators");
        options.timeoutMs((int) TIMEOUT.toMillis());
        return admin.removeMembersFromConsumerGroup(group, options)
                .memberResult(member)
                .toCompletionStage()
                .toCompletableFuture()
                .handle((done, failure) -> {
                    Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
                    if (cause == null) {
                        return true;
                    }
                    if (cause instanceof UnknownMemberIdException || cause instanceof GroupIdNotFoundException) {
                        return false;
                    }
                    throw new CompletionException(cause);
                });
    }
}
