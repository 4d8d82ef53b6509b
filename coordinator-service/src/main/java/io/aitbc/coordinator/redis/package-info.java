/**
 * The Redis infrastructure shared by several features: one connection, scripts, and key names. Key names are a published
 * interface: operators read them with {@code redis-cli}. Scripts build the same names from ids, so Redis Cluster is not
 * supported.
 */
@NullMarked
package io.aitbc.coordinator.redis;

import org.jspecify.annotations.NullMarked;
