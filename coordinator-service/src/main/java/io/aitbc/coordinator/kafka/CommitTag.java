package io.aitbc.coordinator.kafka;

import org.apache.kafka.common.Uuid;
import org.jspecify.annotations.Nullable;

/**
 * Binds a group's commit to the topic it was read from. Commits are keyed by topic name, and a member may still commit for a topic that has
 * been deleted and re-created. Applying such offsets to the new topic would skip its records. The tag is appended to the commit's metadata
 * as {@code @} and the topic id.
 */
public final class CommitTag {
    /** Length of the tag in the metadata. */
    public static final int LENGTH = 1 + Uuid.ZERO_UUID.toString().length();

    private static final char MARK = '@';

    private CommitTag() {}

    public static String with(Uuid topicId, String metadata) {
        return metadata + MARK + topicId;
    }

    /** The metadata without its tag. Untagged metadata, from versions before tags, is returned unchanged. */
    public static String without(String metadata) {
        int mark = metadata.lastIndexOf(MARK);
        return mark < 0 ? metadata : metadata.substring(0, mark);
    }

    /** Whether a commit has a tag. Those that another tool has set have none. */
    public static boolean isPresent(String metadata) {
        return metadata.lastIndexOf(MARK) >= 0;
    }

    /** Whether a commit was made for another topic of the same name, and so must be ignored. */
    public static boolean isForOtherTopic(@Nullable Uuid topicId, String metadata) {
        int mark = metadata.lastIndexOf(MARK);
        return topicId != null && mark >= 0 && !metadata.substring(mark + 1).equals(topicId.toString());
    }
}
