package io.aitbc.agentctl;

import static io.aitbc.agentctl.Table.left;
import static io.aitbc.agentctl.Table.right;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;

class TableTest {
    private final StringWriter out = new StringWriter();

    @Test
    void columnsAreAsWideAsTheirWidestCell() {
        new Table(left("AGENT"), right("LOAD"), left("REGION"))
                .row("a", "3/20", "eu-west")
                .row("amsterdam", "0/5", "")
                .print(new PrintWriter(out, true));
        assertThat(out.toString().lines())
                .containsExactly("AGENT      LOAD  REGION", "a          3/20  eu-west", "amsterdam   0/5  -");
    }

    @Test
    void whatWouldMoveTheCursorIsReplaced() {
        Table.ofOne().row("region", "\u001b[2Jgone\n").print(new PrintWriter(out, true));
        assertThat(out.toString().lines()).containsExactly("region  \uFFFD[2Jgone\uFFFD");
    }
}
