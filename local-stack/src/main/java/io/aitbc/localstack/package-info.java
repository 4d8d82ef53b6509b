/**
 * A real Kafka broker and a real Redis on this machine, for local runs and tests. Never on the class path of a deployment. Each
 * server is owned by the caller that starts it and stops on {@code close()}.
 */
@NullMarked
package io.aitbc.localstack;

import org.jspecify.annotations.NullMarked;
