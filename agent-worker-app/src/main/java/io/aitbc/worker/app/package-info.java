/** The worker as a program: the command line around the library. */
@NullMarked
package io.aitbc.worker.app;

import org.jspecify.annotations.NullMarked;
