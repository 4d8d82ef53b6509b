/** The whole thing on one machine, for a first look: broker, Redis, coordinator and three agents in one go. */
@NullMarked
package io.aitbc.quickstart;

import org.jspecify.annotations.NullMarked;
