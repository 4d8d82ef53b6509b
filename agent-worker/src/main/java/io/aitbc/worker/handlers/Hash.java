package io.aitbc.worker.handlers;

import io.aitbc.contracts.Assignment;
import io.aitbc.contracts.Json;
import io.aitbc.worker.AssignmentContext;
import io.aitbc.worker.Handler;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Computes the SHA-256 of {@code task_data.text}, or of the file {@code task_data.file} below a root folder. */
public final class Hash implements Handler {
    private final @Nullable Path root;

    /** @param root the only folder from which files are read; null: no file access */
    public Hash(@Nullable Path root) {
        this.root = root;
    }

    @Override
    public JsonNode handle(Assignment assignment, AssignmentContext context) throws IOException, RejectedException {
        try (InputStream input = open(assignment);
                DigestInputStream digested = new DigestInputStream(input, sha256())) {
            long bytes = digested.transferTo(OutputStream.nullOutputStream());
            return Json.object()
                    .put("algorithm", "SHA-256")
                    .put(
                            "hash",
                            HexFormat.of().formatHex(digested.getMessageDigest().digest()))
                    .put("bytes", bytes);
        }
    }

    private InputStream open(Assignment assignment) throws IOException, RejectedException {
        if (!assignment.taskData().has("file")) {
            return new ByteArrayInputStream(
                    TaskTypes.text(assignment.taskData(), "text").getBytes(StandardCharsets.UTF_8));
        }
        if (root == null) {
            throw new RejectedException("this worker cannot read files: it was started without --file-root");
        }
        String name = TaskTypes.text(assignment.taskData(), "file");
        Path file = root.resolve(name);
        if (!Files.isRegularFile(file) || !file.toRealPath().startsWith(root.toRealPath())) {
            throw new IllegalArgumentException("no file \"" + name + "\" below the worker's --file-root");
        }
        return Files.newInputStream(file);
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform must support SHA-256", e);
        }
    }
}
