package io.aitbc.coordinator.kafka;

import org.apache.kafka.common.Uuid;
import org.jspecify.annotations.Nullable;

/**
 * Ties what a group commits to the topic it was read from. Commits go by the topic's name, and a member may still commit for a topic
 * that has been deleted and created again meanwhile: to take its offsets for those of the new one would be to skip what is in there.
 * The tag stands at the end of the commit's metadata, as {@code @} and the topic's id.
 */
public final class CommitTag {
    /** How much of the metadata it takes. */
    public static final int LENGTH = 1 + Uuid.ZERO_UUID.toString().length();

    private static final char MARK = '@';

    private CommitTag() {}

    public static String with(Uuid topicId, String metadata) {
        return metadata + MARK + topicId;
    }

    /** The metadata that was tagged; all of it if nothing is tagged, as what was committed before there were tags. */
    public static String without(String metadata) {
        int mark = metadata.lastIndexOf(MARK);
        return mark < 0 ? metadata : metadata.substring(0, mark);
    }

    /** Whether a commit tells nothing of a topic, because it was made for another of the same name. */
    public static boolean isOfAnother(@Nullable Uuid topicId, String metadata) {
        int mark = metadata.lastIndexOf(MARK);
        return topicId != null && mark >= 0 && !metadata.substring(mark + 1).equals(topicId.toString());
    }
}
