/** For unit tests of {@link io.aitbc.worker.Handler}s. */
@NullMarked
package io.aitbc.worker.test;

import org.jspecify.annotations.NullMarked;
