/** The worker as an executable: a command line around the library. */
@NullMarked
package io.aitbc.worker.app;

import org.jspecify.annotations.NullMarked;
