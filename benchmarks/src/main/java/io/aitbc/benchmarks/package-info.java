/** Benchmarks in real processes, compared with the raw limit. No test depends on them. */
@NullMarked
package io.aitbc.benchmarks;

import org.jspecify.annotations.NullMarked;
