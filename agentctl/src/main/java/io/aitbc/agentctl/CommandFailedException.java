package io.aitbc.agentctl;

/** Ends the command with exit code 1; the message is one sentence for the operator. */
class CommandFailedException extends RuntimeException {
    CommandFailedException(String sentence) {
        super(sentence);
    }
}
