/** The processes under test, and the clients that drive them. */
@NullMarked
package io.aitbc.benchmarks.cluster;

import org.jspecify.annotations.NullMarked;
