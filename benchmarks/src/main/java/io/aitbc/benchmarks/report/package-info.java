/** Tables and charts. */
@NullMarked
package io.aitbc.benchmarks.report;

import org.jspecify.annotations.NullMarked;
