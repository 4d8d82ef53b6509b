package io.aitbc.coordinator.redis;

import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.output.StatusOutput;
import io.lettuce.core.protocol.AsyncCommand;
import io.lettuce.core.protocol.Command;
import io.lettuce.core.protocol.CommandType;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.timeout.IdleStateEvent;
import io.netty.handler.timeout.IdleStateHandler;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * Closes a connection on which a {@code PING} is not answered within 5 s, so that Lettuce connects again: with Sentinel, to the new primary.
 * Nothing else closes the connections of a server that hangs, and those of a host that is lost are closed only when TCP gives up, after some
 * 15 minutes.
 *
 * <p>The first handler of a channel. The {@code PING} is sent after 2.5 s without data. Time counts in intervals that the event loop has
 * seen pass, so a process that was itself suspended does not close its connections.
 */
final class HungConnectionHandler extends IdleStateHandler {
    private static final Duration INTERVAL = Duration.ofMillis(2_500);
    private static final int INTERVALS_AFTER_PING = 2;

    private int unanswered;

    HungConnectionHandler() {
        super(INTERVAL.toMillis(), 0, 0, TimeUnit.MILLISECONDS);
    }

    @Override
    protected void channelIdle(ChannelHandlerContext context, IdleStateEvent silence) {
        if (silence.isFirst()) {
            unanswered = 0;
            context.channel()
                    .writeAndFlush(new AsyncCommand<>(
                            new Command<>(CommandType.PING, new StatusOutput<>(StringCodec.UTF8), null)));
        } else if (++unanswered == INTERVALS_AFTER_PING) {
            context.close();
        }
    }
}
