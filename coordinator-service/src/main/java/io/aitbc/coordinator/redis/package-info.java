/**
 * The edge to Redis that several features share: one connection, scripts, and the names of keys. Key names are published
 * interface: operators read them with {@code redis-cli}. Scripts build the same names from ids, so Redis Cluster is not supported.
 */
@NullMarked
package io.aitbc.coordinator.redis;

import org.jspecify.annotations.NullMarked;
