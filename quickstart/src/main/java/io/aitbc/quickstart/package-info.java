/** A complete system on one machine for evaluation: broker, Redis, coordinator and three agents. */
@NullMarked
package io.aitbc.quickstart;

import org.jspecify.annotations.NullMarked;
