/**
 * The messages that coordinators, agents and producers exchange, their topics, and their JSON form.
 *
 * <p>Every record is an immutable value that validates itself on construction: an invalid one is rejected with an {@link
 * IllegalArgumentException} whose message is one sentence. The same formats are published for agents in other languages as JSON
 * Schemas under {@code schemas/} and as {@code asyncapi.yaml}, both in this module's resources.
 */
@NullMarked
package io.aitbc.contracts;

import org.jspecify.annotations.NullMarked;
