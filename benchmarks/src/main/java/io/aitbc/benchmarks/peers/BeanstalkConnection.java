package io.aitbc.benchmarks.peers;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** A connection to beanstalkd that sends many commands before it reads their answers. It is closed with the process. */
final class BeanstalkConnection {
    static final String TASKS = "tasks";
    static final String RESULTS = "results";

    private static final int BUFFER_BYTES = 64 * 1024;
    /** Answers to that many puts fit into the buffers of the socket; beyond that, both sides would wait to write. */
    private static final int MAX_UNREAD = 2_000;
    /** In seconds, until a job is given to another agent. */
    private static final int TIME_TO_RUN = 60;

    private final InputStream answers;
    private final OutputStream commands;
    private int unreadPuts;
    private int unreadDeletes;
    private int wanted = 1;

    /** A reserved job. */
    record Job(String id, byte[] body) {}

    /**
     * Connects.
     *
     * @param from the tube of jobs to reserve
     * @param to the tube of jobs to put
     */
    BeanstalkConnection(String port, String from, String to) throws IOException {
        Socket socket = new Socket(InetAddress.getLoopbackAddress(), Integer.parseInt(port));
        socket.setTcpNoDelay(true);
        answers = new BufferedInputStream(socket.getInputStream(), BUFFER_BYTES);
        commands = new BufferedOutputStream(socket.getOutputStream(), BUFFER_BYTES);
        send("use " + to);
        send("watch " + from);
        send("ignore default");
        commands.flush();
        expect("USING");
        expect("WATCHING");
        expect("WATCHING");
    }

    /** Puts a job without waiting for the answer. */
    void put(int priority, byte[] body) throws IOException {
        send("put " + priority + " 0 " + TIME_TO_RUN + " " + body.length);
        commands.write(body);
        endLine();
        if (++unreadPuts == MAX_UNREAD) {
            readPuts(MAX_UNREAD / 2);
        }
    }

    /** Waits until the server has all jobs. */
    void awaitPuts() throws IOException {
        readPuts(unreadPuts);
    }

    private void readPuts(int count) throws IOException {
        commands.flush();
        for (int i = 0; i < count; i++) {
            expect("INSERTED");
        }
        unreadPuts -= count;
    }

    /** Deletes a job, without waiting for the answer. */
    void delete(Job job) throws IOException {
        send("delete " + job.id());
        unreadDeletes++;
    }

    /** Waits for a job, and takes others if there are any. It asks for more only while it gets all, as each refusal has a cost. */
    List<Job> reserve(int atMost) throws IOException {
        send("reserve");
        for (int i = 1; i < wanted; i++) {
            send("reserve-with-timeout 0");
        }
        commands.flush();
        for (; unreadDeletes > 0; unreadDeletes--) {
            expect("DELETED");
        }
        List<Job> jobs = new ArrayList<>();
        for (int i = 0; i < wanted; i++) {
            String answer = line();
            if (!answer.equals("TIMED_OUT")) {
                jobs.add(job(answer));
            }
        }
        wanted = Math.min(atMost, jobs.size() < wanted ? jobs.size() : 2 * wanted);
        return jobs;
    }

    private Job job(String answer) throws IOException {
        String[] words = answer.split(" ");
        if (!words[0].equals("RESERVED")) {
            throw new IOException(answer);
        }
        byte[] body = answers.readNBytes(Integer.parseInt(words[2]));
        line();
        return new Job(words[1], body);
    }

    private void send(String command) throws IOException {
        commands.write(command.getBytes(StandardCharsets.US_ASCII));
        endLine();
    }

    private void endLine() throws IOException {
        commands.write('\r');
        commands.write('\n');
    }

    private void expect(String start) throws IOException {
        String answer = line();
        if (!answer.startsWith(start)) {
            throw new IOException(answer);
        }
    }

    private String line() throws IOException {
        StringBuilder line = new StringBuilder();
        for (int one = answers.read(); one != '\n'; one = answers.read()) {
            if (one < 0) {
                throw new EOFException();
            }
            line.append((char) one);
        }
        line.setLength(line.length() - 1);
        return line.toString();
    }
}
