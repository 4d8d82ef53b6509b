/**
 * What changes, as it changes: to the dashboard and to whoever else listens, over a WebSocket or server-sent events. Three threads
 * look, {@code live-cluster}, {@code live-agents} and {@code live-tasks}, as often as somebody listens; any number of clients is told
 * from what these found, each at its own pace. A client that is slow is not told of what it missed, but how things are now; nothing is
 * kept for it. While Kafka or Redis is away, clients are told that.
 */
@NullMarked
package io.aitbc.coordinator.live;

import org.jspecify.annotations.NullMarked;
