/** The benchmarks, one class each. */
@NullMarked
package io.aitbc.benchmarks.measure;

import org.jspecify.annotations.NullMarked;
