package io.aitbc.benchmarks.peers;

/** Work that goes on until the process ends, and does not keep it from ending. */
final class Background {
    private Background() {}

    @FunctionalInterface
    interface Work {
        void run() throws Exception;
    }

    /** Starts a thread; its failure is printed. */
    static void start(String name, Work work) {
        Thread thread = new Thread(
                () -> {
                    try {
                        work.run();
                    } catch (Exception e) {
                        throw new IllegalStateException(e);
                    }
                },
                name);
        thread.setDaemon(true);
        thread.start();
    }
}
