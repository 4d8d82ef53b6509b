/**
 * Live updates for the dashboard and other clients, over WebSocket or server-sent events. The threads {@code live-agents} and {@code
 * live-tasks} poll for changes while clients subscribe to them; {@code live-cluster} always does, because metrics need its snapshots too.
 * Each client receives changes at its own pace. A slow client gets the current state instead of missed updates; nothing is buffered for it.
 * While Kafka or Redis is unavailable, clients are notified of that.
 */
@NullMarked
package io.aitbc.coordinator.live;

import org.jspecify.annotations.NullMarked;
