/**
 * Live updates for the dashboard and other clients, over WebSocket or server-sent events. Three threads poll for changes, {@code
 * live-cluster}, {@code live-agents} and {@code live-tasks}, as long as anybody subscribes. Their findings are sent to any number of
 * clients, each at its own pace. A slow client gets the current state instead of missed updates; nothing is buffered for it. While Kafka or
 * Redis is unavailable, clients are notified of that.
 */
@NullMarked
package io.aitbc.coordinator.live;

import org.jspecify.annotations.NullMarked;
