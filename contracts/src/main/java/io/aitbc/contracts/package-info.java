/**
 * The messages that coordinators, agents and producers exchange, the topics they travel on, and their JSON form.
 *
 * <p>Every record here is an immutable value that checks itself when it is made: an instance is valid, or an
 * {@link IllegalArgumentException} said in one sentence what is wrong. The same shapes are published as JSON Schemas under
 * {@code schemas/} and as {@code asyncapi.yaml} in this module's resources, for agents in other languages.
 */
@NullMarked
package io.aitbc.contracts;

import org.jspecify.annotations.NullMarked;
