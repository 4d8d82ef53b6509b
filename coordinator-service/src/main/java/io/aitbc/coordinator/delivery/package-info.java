/**
 * Delivery of assignments to agents without Kafka. {@link io.aitbc.coordinator.delivery.DeliveryLoop} copies assignments from the shared
 * topic into outboxes in Redis; {@link io.aitbc.coordinator.delivery.AssignmentClaims} answers the agents' claims from there.
 */
@NullMarked
package io.aitbc.coordinator.delivery;

import org.jspecify.annotations.NullMarked;
