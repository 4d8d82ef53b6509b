package io.aitbc.agentctl;

/** Thrown to end a command with exit code 1; the message is one sentence for the operator. */
class CommandFailedException extends RuntimeException {
    CommandFailedException(String sentence) {
        super(sentence);
    }
}
