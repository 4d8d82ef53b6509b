/**
 * Authentication and authorization over HTTP: API keys, JSON Web Tokens, and the table of what each role may do. Off unless
 * {@code aitbc.security} is on.
 */
@NullMarked
package io.aitbc.coordinator.security;

import org.jspecify.annotations.NullMarked;
