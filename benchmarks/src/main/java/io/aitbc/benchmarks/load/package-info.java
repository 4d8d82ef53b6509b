/** The two sides that are compared, the coordinator and the raw limit, and the clients that put them under load. */
@NullMarked
package io.aitbc.benchmarks.load;

import org.jspecify.annotations.NullMarked;
