/** The processes under test, and child processes that answer commands. */
@NullMarked
package io.aitbc.benchmarks.cluster;

import org.jspecify.annotations.NullMarked;
