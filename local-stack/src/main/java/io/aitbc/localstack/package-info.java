/**
 * A real Kafka broker and a real Redis on this machine, for the local run and for tests. Never on the class path of what is
 * deployed. Each started server is owned by whoever started it and ends with {@code close()}.
 */
@NullMarked
package io.aitbc.localstack;

import org.jspecify.annotations.NullMarked;
