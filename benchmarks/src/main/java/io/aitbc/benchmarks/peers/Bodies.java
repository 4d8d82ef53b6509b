package io.aitbc.benchmarks.peers;

import java.nio.charset.StandardCharsets;

/** Tasks and results of the clients in Java. Both begin with the number of the task, which is all that they read. */
final class Bodies {
    private static final int TASK_BYTES = 250;
    private static final String START = "{\"task_id\":\"";
    private static final int DIGITS = 10;
    private static final byte[] TASK = task();
    private static final byte[] RESULT =
            (blank() + ",\"status\":\"completed\",\"result\":{\"ok\":true}}").getBytes(StandardCharsets.UTF_8);

    private Bodies() {}

    private static String blank() {
        return START + "0".repeat(DIGITS) + "\"";
    }

    private static byte[] task() {
        String start = blank() + ",\"task_data\":{\"text\":\"";
        String end = "\"}}";
        return (start + "x".repeat(TASK_BYTES - start.length() - end.length()) + end).getBytes(StandardCharsets.UTF_8);
    }

    static byte[] task(int number) {
        byte[] task = TASK.clone();
        int rest = number;
        for (int i = START.length() + DIGITS - 1; rest > 0; i--) {
            task[i] = (byte) ('0' + rest % 10);
            rest /= 10;
        }
        return task;
    }

    /** The result of a task. */
    static byte[] result(byte[] task) {
        byte[] result = RESULT.clone();
        System.arraycopy(task, START.length(), result, START.length(), DIGITS);
        return result;
    }

    /** The number of a task or of its result. */
    static int number(byte[] body) {
        int number = 0;
        for (int i = START.length(); i < START.length() + DIGITS; i++) {
            number = number * 10 + body[i] - '0';
        }
        return number;
    }
}
