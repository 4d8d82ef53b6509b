package io.aitbc.coordinator.kafka;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.UnknownMemberIdException;

/** The members of the consumer groups that coordinators share. They are static ones, so that they can be removed by their ids. */
public final class GroupMembers {
    private static final long WAIT_SECONDS = 3;

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
     * @return false if it was a member of none
     * @throws ExecutionException if Kafka refuses it
     * @throws TimeoutException if Kafka does not answer within 3 s
     */
    public boolean remove(String coordinatorId) throws InterruptedException, ExecutionException, TimeoutException {
        MemberToRemove member = new MemberToRemove(coordinatorId);
        Map<String, KafkaFuture<Void>> removals = new HashMap<>();
        for (String group : clients.groups()) {
            RemoveMembersFromConsumerGroupOptions options = new RemoveMembersFromConsumerGroupOptions(List.of(member));
            options.reason("sends no heartbeats to other coordinators");
            removals.put(
                    group, admin.removeMembersFromConsumerGroup(group, options).memberResult(member));
        }
        boolean wasMember = false;
        for (KafkaFuture<Void> removal : removals.values()) {
            try {
                removal.get(WAIT_SECONDS, TimeUnit.SECONDS);
                wasMember = true;
            } catch (ExecutionException e) {
                if (!(e.getCause() instanceof UnknownMemberIdException)
                        && !(e.getCause() instanceof GroupIdNotFoundException)) {
                    throw e;
                }
            }
        }
        return wasMember;
    }
}
