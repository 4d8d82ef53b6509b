/**
 * The messages that coordinators, agents and producers exchange, their topics, and their JSON form.
 *
 * <p>Every record is an immutable value that validates itself on construction: an instance is valid, or an {@link
 * IllegalArgumentException} says in one sentence what is wrong. The same shapes are published for agents in other languages as
 * JSON Schemas under {@code schemas/} and as {@code asyncapi.yaml}, both in this module's resources.
 */
@NullMarked
package io.aitbc.contracts;

import org.jspecify.annotations.NullMarked;
