package io.aitbc.agentctl;

/** The command ends with exit code 1; the message is one sentence for the operator. */
class CommandFailedException extends RuntimeException {
    CommandFailedException(String sentence) {
        super(sentence);
    }
}
