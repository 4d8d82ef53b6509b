/** What things cost, measured in real processes and beside the raw limit. Nothing here decides a test. */
@NullMarked
package io.aitbc.benchmarks;

import org.jspecify.annotations.NullMarked;
