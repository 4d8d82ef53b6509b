/** Alternatives to the coordinator. */
@NullMarked
package io.aitbc.benchmarks.peers;

import org.jspecify.annotations.NullMarked;
