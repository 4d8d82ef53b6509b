package io.aitbc.coordinator.live;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.deque.html.axecore.results.Rule;
import com.deque.html.axecore.selenium.AxeBuilder;
import io.aitbc.coordinator.RunningCoordinator;
import io.aitbc.coordinator.balance.LoadBalancingStrategy;
import io.aitbc.localstack.LocalPostgres;
import io.aitbc.localstack.LocalStack;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.openqa.selenium.By;
import org.openqa.selenium.Dimension;
import org.openqa.selenium.Keys;
import org.openqa.selenium.OutputType;
import org.openqa.selenium.WebElement;
import org.openqa.selenium.chrome.ChromeDriver;
import org.openqa.selenium.chrome.ChromeDriverService;
import org.openqa.selenium.chrome.ChromeOptions;
import org.openqa.selenium.support.ui.Select;
import tools.jackson.databind.JsonNode;

/** The dashboard in a real browser. Screenshots of each view are kept in the build output. */
class DashboardTest {
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final Path SCREENSHOTS = Path.of("target", "screenshots");
    private static final String CAPABILITIES = "[\"dashboard\"]";

    private static RunningCoordinator coordinator;
    private static ChromeDriver browser;

    @TempDir
    private static Path folder;

    private static LocalPostgres postgres;

    @BeforeAll
    static void start() throws IOException {
        Path chromium = onPath("chromium", "google-chrome", "chrome");
        Path driver = onPath("chromedriver");
        assumeTrue(chromium != null && driver != null, "no Chromium with a ChromeDriver is installed");
        Files.createDirectories(SCREENSHOTS);
        postgres = LocalPostgres.start(folder, LocalStack.freePort());
        coordinator =
                RunningCoordinator.start(LocalStack.shared(), "dashboard.", 6, "--aitbc.history.url=" + postgres.url());
        browser = new ChromeDriver(
                new ChromeDriverService.Builder()
                        .usingDriverExecutable(driver.toFile())
                        .build(),
                new ChromeOptions()
                        .setBinary(chromium.toFile())
                        .addArguments(
                                "--headless=new",
                                "--no-sandbox",
                                "--disable-gpu",
                                "--disable-dev-shm-usage",
                                "--lang=en")
                        .setExperimentalOption(
                                "prefs",
                                Map.of(
                                        "download.default_directory",
                                        folder.resolve("downloads").toString())));
        browser.manage().window().setSize(new Dimension(1280, 1000));
    }

    @AfterAll
    static void end() {
        if (browser != null) {
            browser.quit();
        }
        if (coordinator != null) {
            coordinator.close();
        }
        if (postgres != null) {
            postgres.close();
        }
    }

    @AfterEach
    void assertNoBrowserErrors() {
        assertThat(browser.manage().logs().get("browser").getAll())
                .filteredOn(entry -> !entry.getMessage().contains("net::ERR_CONNECTION_REFUSED"))
                .filteredOn(entry -> !entry.getMessage().contains("WebSocket connection"))
                // The browser also logs answers that pages expect: an unknown task, one that has ended, or a history
                // that is starting.
                .filteredOn(entry -> !entry.getMessage().matches(".*/tasks[/?]\\S+ - .*status of (404|409|422|503).*"))
                .isEmpty();
    }

    private static Path onPath(String... names) {
        return Stream.of(names)
                .flatMap(name -> Stream.of(System.getenv("PATH").split(":")).map(folder -> Path.of(folder, name)))
                .filter(Files::isExecutable)
                .findFirst()
                .orElse(null);
    }

    @Test
    void aTaskIsUpdatedLive() {
        String id = coordinator.submit(
                "{\"task_id\":\"seen\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"seen\"]}}");
        open("/tasks/" + id);
        awaitText(By.id("task-status"), "queued");
        awaitText(By.cssSelector("#why .explanation"), "agent");

        coordinator.register("seen-agent", 1, "seen");
        awaitText(By.id("task-status"), "assigned");
        coordinator.report(coordinator.awaitRecords("assignments.seen-agent", 1).get(0), "completed", null);
        awaitText(By.id("task-status"), "completed");

        assertThat(timeline())
                .hasSize(3)
                .satisfies(steps -> assertThat(steps.get(1)).contains("Attempt 1 of 3 assigned to seen-agent"));
    }

    @Test
    void aQueueIsPausedFilledAndCleared() {
        open("/queues");
        WebElement row = awaitShown(By.id("queue-low"));
        button(row, "Pause").click();
        awaitText(By.id("queue-low"), "paused");

        for (int i = 0; i < 3; i++) {
            coordinator.submit("{\"task_data\":{},\"priority\":\"low\"}");
        }
        await().atMost(LONG)
                .until(() -> row.findElement(By.tagName("td")).getText().equals("3"));
        awaitText(By.className("verdict"), "3 tasks wait, all in paused queues: low.");

        button(row, "Clear…").click();
        awaitText(By.id("question-text"), "3 tasks now");
        button(awaitShown(By.id("question")), "Keep").click();
        assertThat(coordinator
                        .get("/tasks/queues")
                        .body()
                        .at("/queue_sizes/low")
                        .asInt())
                .isEqualTo(3);
        button(row, "Clear…").click();
        awaitText(By.id("question-text"), "3 tasks now");
        button(awaitShown(By.id("question")), "Clear 3 tasks").click();
        awaitText(By.id("notice"), "Cleared 3 tasks from the low queue.");
        await().atMost(LONG)
                .until(() -> row.findElement(By.tagName("td")).getText().equals("0"));

        button(row, "Resume").click();
        await().atMost(LONG).until(() -> !row.getText().contains("paused"));
    }

    @Test
    void theWeightOfATenantIsSet() {
        coordinator.submit("{\"task_id\":\"of-acme\",\"task_data\":{},\"fairness_key\":\"acme/eu <1>\","
                + "\"requirements\":{\"capabilities\":[\"nobody-weighs\"]}}");
        open("/queues");
        String keys = "[aria-label='Fairness keys'] tbody";
        awaitText(By.cssSelector(keys), "acme/eu <1>");

        awaitShown(By.cssSelector("[aria-label='Weight of acme/eu <1>']")).sendKeys("2.5");
        awaitShown(By.cssSelector("[aria-label='Set the weight of acme/eu <1>']"))
                .click();
        awaitText(By.id("notice"), "The weight of acme/eu <1> is 2.5.");
        await().atMost(LONG)
                .until(() -> coordinator.get("/fairness").body().toString().contains("\"weight\":2.5"));
        awaitShown(By.cssSelector("[aria-label='Remove the weight of acme/eu <1>']"))
                .click();
        awaitText(By.id("notice"), "The weight of acme/eu <1> was removed.");

        coordinator.post("/tasks/of-acme/cancel", "");
        await().atMost(LONG)
                .until(() -> browser.findElements(By.cssSelector(keys)).stream()
                        .noneMatch(rows -> rows.getText().contains("acme/eu")));
    }

    @Test
    void limitsAreShownWithWhatIsUsedOverTime() {
        assertThat(coordinator
                        .send(
                                "PUT",
                                "/limits/ui/x",
                                "{\"concurrency\": 1, \"budget\": {\"units\": 500, \"per\": \"month\"}}")
                        .code())
                .isEqualTo(200);
        coordinator.register("limited-agent", 5, "limited-ui");
        String task = "{\"task_data\":{},\"uses\":{\"ui/x\":1},\"requirements\":{\"capabilities\":[\"limited-ui\"]}}";
        String holder = coordinator.submit(task);
        coordinator.awaitTask(holder, "assigned");
        String waiting = coordinator.submit(task);
        open("/queues");
        String limits = "[aria-label='Limits'] tbody";
        awaitText(By.cssSelector(limits), "1 at once; 500 per month");

        awaitShown(By.cssSelector("[aria-label='Show ui/x']")).click();
        awaitText(By.cssSelector("[aria-label='Tasks that hold units'] tbody"), "limited-agent");
        awaitShown(By.cssSelector("[aria-label^='Units in use and tasks waiting'] canvas"));
        awaitShown(By.cssSelector("[aria-label='Units spent of the budget, last 15 minutes: 1 of 500']"));

        awaitShown(By.cssSelector("[aria-label='Remove ui/x']")).click();
        button(awaitShown(By.id("question")), "Remove ui/x").click();
        awaitText(By.id("notice"), "The limit ui/x was removed.");
        coordinator.awaitTask(waiting, "assigned");
        await().atMost(LONG)
                .until(() -> browser.findElements(By.cssSelector(limits)).stream()
                        .noneMatch(rows -> rows.getText().contains("ui/x")));
        coordinator.post("/tasks/" + holder + "/cancel", "");
        coordinator.post("/tasks/" + waiting + "/cancel", "");
    }

    @Test
    void aWaitingTaskIsExplained() {
        coordinator.register("small-agent", 1, "explained", "memory:8");
        String id = coordinator.submit(
                "{\"task_data\":{},\"requirements\":{\"capabilities\":[\"explained\",\"memory>=64\"]}}");
        open("/tasks/" + id);

        awaitText(By.cssSelector("#why .explanation"), "the closest is small-agent");
        assertThat(browser.findElement(By.id("why")).getText()).contains("memory");

        button(awaitShown(By.id("main")), "Cancel…").click();
        button(awaitShown(By.id("question")), "Cancel the task").click();
        awaitText(By.id("task-status"), "cancelled");
    }

    @Test
    void agentsAreFoundSortedAndDrained() {
        coordinator.register("drain-b", 7, "drain");
        coordinator.register("drain-a", 3, "drain");
        open("/agents");
        awaitShown(By.id("agent-search")).sendKeys("drain-");
        await().atMost(LONG).ignoreExceptions().until(() -> shownAgents().equals(List.of("drain-a", "drain-b")));
        awaitShown(By.xpath("//th/button[text()='Agent']")).click();
        await().atMost(LONG).ignoreExceptions().until(() -> shownAgents().equals(List.of("drain-b", "drain-a")));

        awaitShown(By.cssSelector("[aria-label='Drain drain-a']")).click();
        awaitText(By.id("notice"), "Status of agent drain-a is now maintenance.");
        await().atMost(LONG)
                .until(() -> browser.findElement(By.tagName("tbody")).getText().contains("maintenance"));
        new Select(awaitShown(By.id("agent-status"))).selectByValue("maintenance");
        await().atMost(LONG).ignoreExceptions().until(() -> shownAgents().equals(List.of("drain-a")));

        awaitShown(By.linkText("drain-a")).click();
        awaitText(By.tagName("dl"), "its status is maintenance");
    }

    @Test
    void anAgentThatIsNotReachedIsShown() {
        assertThat(coordinator
                        .post(
                                "/agents/register",
                                "{\"agent_id\":\"unreached-1\",\"agent_type\":\"worker\",\"capabilities\":[\"deaf\"]}")
                        .code())
                .isEqualTo(200);
        open("/agents");
        awaitShown(By.id("agent-search")).sendKeys("unreached-");
        awaitText(By.tagName("tbody"), "not reached");

        awaitShown(By.linkText("unreached-1")).click();

        awaitText(By.tagName("dl"), "it does not read its topic");
        awaitText(By.tagName("dl"), "kafka: dashboard.assignments.unreached-1");
    }

    @Test
    void aTaskThatFailedIsRedriven() {
        coordinator.register("fails-agent", 1, "fails");
        String id = coordinator.submit(
                "{\"task_id\":\"failed-1\",\"task_data\":{},\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"fails\"]}}");
        coordinator.report(
                coordinator.awaitRecords("assignments.fails-agent", 1).get(0), "failed", "no luck");
        coordinator.awaitTask(id, "failed");
        open("/dead-letters");
        awaitText(By.cssSelector("[aria-label='Dead letters'] tbody"), "no luck");

        awaitShown(By.cssSelector("[aria-label='Redrive failed-1']")).click();
        awaitText(By.id("notice"), "Task queued again.");
        coordinator.report(
                coordinator.awaitRecords("assignments.fails-agent", 2).get(1), "completed", null);
        awaitShown(By.linkText("failed-1")).click();
        awaitText(By.id("task-status"), "completed");
    }

    @Test
    void theStrategyIsSwitched() {
        open("/cluster");
        awaitText(By.tagName("dl"), "least connections");
        Select strategies = new Select(awaitShown(By.id("strategy")));
        assertThat(strategies.getOptions())
                .extracting(option -> option.getDomProperty("value"))
                .containsExactlyElementsOf(Stream.of(LoadBalancingStrategy.values())
                        .map(LoadBalancingStrategy::wireName)
                        .toList());
        strategies.selectByValue("random");
        button(awaitShown(By.id("main")), "Apply").click();
        awaitText(By.id("notice"), "Load-balancing strategy is now random.");
        awaitText(By.tagName("dl"), "random");
        coordinator.send("PUT", "/load-balancer/strategy", "{\"strategy\":\"least_connections\"}");
    }

    @Test
    void thePageIsUsableByKeyboard() {
        open("/queues");
        awaitShown(By.id("queue-low"));
        browser.executeScript("document.activeElement.blur()");
        awaitShown(By.tagName("body")).sendKeys(Keys.TAB);
        assertThat(browser.switchTo().activeElement().getText()).isEqualTo("Skip to content");
        browser.switchTo().activeElement().sendKeys(Keys.TAB, Keys.TAB);
        browser.switchTo().activeElement().sendKeys(Keys.TAB);
        WebElement link = awaitShown(By.linkText("Agents"));
        link.sendKeys(Keys.ENTER);
        awaitText(By.tagName("h1"), "Agents");
        assertThat(link.getDomAttribute("aria-current")).isEqualTo("page");
        assertThat(browser.switchTo().activeElement().getDomAttribute("id")).isEqualTo("main");
    }

    /** As behind a proxy without WebSocket support. */
    @Test
    void thePageIsLiveWithoutWebSockets() {
        Object script = browser.executeCdpCommand("Page.addScriptToEvaluateOnNewDocument", Map.of("source", """
                                window.WebSocket = class {
                                  static OPEN = 1;
                                  constructor() { setTimeout(() => this.onclose(), 0); }
                                };
                                """))
                .get("identifier");
        try {
            open("/tasks");
            awaitText(By.id("connection"), "Connection lost");
            browser.executeScript("location.hash = '#/tasks/by-events'");
            awaitText(By.id("task-status"), "unknown");
            coordinator.submit(
                    "{\"task_id\":\"by-events\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"by-events\"]}}");
            awaitText(By.id("task-status"), "queued");
            browser.executeScript("location.hash = '#/queues'");
            awaitText(By.id("queue-normal"), "normal 1");
            awaitText(By.id("connection"), "Live");
        } finally {
            coordinator.post("/tasks/by-events/cancel", "");
            browser.executeCdpCommand("Page.removeScriptToEvaluateOnNewDocument", Map.of("identifier", script));
        }
    }

    /** The page reports that its data is stale, keeps it, and reconnects by itself. */
    @Test
    void thePageSurvivesACoordinatorRestart() throws Exception {
        try (Connection connection = DriverManager.getConnection("jdbc:" + postgres.url());
                Statement sql = connection.createStatement()) {
            sql.execute("CREATE SCHEMA restarted");
        }
        int port = freePort();
        String[] settings = {
            "--aitbc.coordinator.port=" + port,
            "--aitbc.history.url=" + postgres.url() + (postgres.url().contains("?") ? "&" : "?")
                    + "currentSchema=restarted"
        };
        try (RunningCoordinator first = RunningCoordinator.start(LocalStack.shared(), "restarted.", 7, settings)) {
            first.register("restarted-agent", 2, "restarted");
            first.submit(
                    "{\"task_id\":\"before-restart\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"restarted\"]}}");
            browser.get("http://127.0.0.1:" + port + "/dashboard#/tasks");
            awaitText(By.cssSelector("[aria-label='Tasks'] tbody"), "before-restart");
        }
        awaitText(By.id("connection"), "Connection lost");
        awaitText(By.id("found"), "The coordinator does not respond.");
        awaitText(By.cssSelector("[aria-label='Tasks'] tbody"), "before-restart");
        try (RunningCoordinator second = RunningCoordinator.start(LocalStack.shared(), "restarted.", 7, settings)) {
            awaitText(By.id("connection"), "Live");
            second.submit(
                    "{\"task_id\":\"after-restart\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"restarted\"]}}");
            awaitText(By.id("found"), "2 tasks");
            browser.executeScript("location.hash = '#/queues'");
            awaitText(By.id("queue-high"), "Pause");
            second.post("/tasks/queues/high/pause", "");
            awaitText(By.id("queue-high"), "paused");
        }
        browser.get("about:blank");
    }

    @Test
    void withSecurityOnSomebodySignsInFirst() {
        String key = "admin-key-for-tests-of-32-characters-or-more";
        try (RunningCoordinator secured = RunningCoordinator.start(
                LocalStack.shared(), "secured.", 8, "--aitbc.security=on", "--aitbc.admin.key=" + key)) {
            browser.get("http://127.0.0.1:" + secured.port() + "/dashboard/#/queues");
            awaitShown(By.id("credential")).sendKeys(key);
            button(awaitShown(By.id("sign-in")), "Sign in").click();
            awaitText(By.id("connection"), "Live");
            awaitText(By.id("caller"), "AITBC_ADMIN_KEY (admin)");
            button(awaitShown(By.id("queue-low")), "Pause").click();
            awaitText(By.id("queue-low"), "paused");

            button(awaitShown(By.id("caller")), "Sign out").click();

            awaitShown(By.id("credential"));
            browser.get("about:blank");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"light", "dark", "phone"})
    void everyViewIsAccessible(String look) throws IOException {
        coordinator.register("shown-agent", 4, "shown");
        String waiting = coordinator.submit(
                "{\"task_id\":\"shown-" + look
                        + "\",\"task_data\":{},\"priority\":\"high\",\"requirements\":{\"capabilities\":[\"nobody-has-this\"]}}");
        look(look);
        open("/start");
        try {
            for (String view : List.of(
                    "/overview",
                    "/queues",
                    "/agents",
                    "/agents/shown-agent",
                    "/tasks",
                    "/tasks/" + waiting,
                    "/statistics",
                    "/dead-letters",
                    "/cluster")) {
                goTo(view);
                awaitText(By.id("connection"), "Live");
                awaitNothingPending();
                Files.write(
                        SCREENSHOTS.resolve(
                                view.substring(1)
                                                .replaceAll("/.*-agent", "-one")
                                                .replaceAll("/shown.*", "-one") + "-" + look + ".png"),
                        browser.getScreenshotAs(OutputType.BYTES));
                assertThat(axe(look).analyze(browser).getViolations())
                        .as(view)
                        .extracting(Rule::toString)
                        .isEmpty();
                assertThat((Long) browser.executeScript(
                                "return document.documentElement.scrollWidth - document.documentElement.clientWidth"))
                        .as("%s is no wider than its window", view)
                        .isLessThanOrEqualTo(0);
            }
        } finally {
            look("light");
            coordinator.post("/tasks/" + waiting + "/cancel", "");
        }
    }

    /** The document is the same in all variants: the others are checked only against rules about colours and sizes. */
    private static AxeBuilder axe(String look) {
        return look.equals("light")
                ? new AxeBuilder()
                : new AxeBuilder().withRules(List.of("color-contrast", "scrollable-region-focusable"));
    }

    @Test
    void aScheduledTaskIsNotStuck() {
        coordinator.register("later-agent", 1, "later");
        coordinator.submit("{\"task_id\":\"for-later\",\"task_data\":{},\"not_before\":\"2100-01-01T00:00:00Z\"}");
        try {
            open("/queues");
            awaitText(By.className("verdict"), "1 task waits, all scheduled for later.");

            coordinator.submit(
                    "{\"task_id\":\"for-nobody\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"of-nobody\"]}}");

            awaitText(
                    By.className("verdict"),
                    "Stuck: 1 task waits (1 more scheduled for later) and no task is assigned");
        } finally {
            List.of("for-later", "for-nobody").forEach(id -> coordinator.post("/tasks/" + id + "/cancel", ""));
        }
    }

    @Test
    void theProducerOfAHangingTransactionIsNamed() {
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(
                Map.of(
                        ProducerConfig.BOOTSTRAP_SERVERS_CONFIG,
                        LocalStack.shared().bootstrapServers(),
                        ProducerConfig.TRANSACTIONAL_ID_CONFIG,
                        "dashboard.hangs"),
                new StringSerializer(),
                new StringSerializer())) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>("dashboard.tasks.critical", "never", "{}"));
            producer.flush();
            open("/queues");

            awaitText(By.className("verdict"), "In critical, 1 record cannot be read until a transaction of producer");
            awaitText(By.className("verdict"), "(transactional id dashboard.hangs) ends");

            producer.abortTransaction();
            await().atMost(LONG)
                    .until(() -> !browser.findElement(By.className("verdict"))
                            .getText()
                            .contains("transaction"));
        }
    }

    @Test
    void tasksAreFoundByWhatTheyAre() {
        coordinator.register("searched", 5, "searched");
        String failed = coordinator.submit(
                "{\"task_data\":{\"task_type\":\"resize\",\"width\":640},\"max_attempts\":2,\"labels\":{\"team\":\"search\"},"
                        + "\"requirements\":{\"capabilities\":[\"searched\"]}}");
        for (int attempt = 1; attempt <= 2; attempt++) {
            coordinator.report(
                    coordinator.awaitRecords("assignments.searched", attempt).get(attempt - 1),
                    "failed",
                    "the lens is dirty");
        }
        coordinator.awaitTask(failed, "failed");
        String completed = coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"searched\"]}}");
        coordinator.report(coordinator.awaitRecords("assignments.searched", 3).get(2), "completed", null);
        open("/tasks?agent_id=searched&within=3600");
        awaitText(By.id("found"), "2 tasks");
        assertThat(browser.findElement(By.tagName("tbody")).getText()).contains(failed, completed);

        awaitShown(By.id("filter-error")).sendKeys("dirty lens");
        awaitShown(By.id("filter-label")).sendKeys("team=search");
        new Select(awaitShown(By.id("filter-status"))).selectByValue("failed");
        button(awaitShown(By.id("filter")), "Search").click();
        awaitText(By.id("found"), "1 task");
        assertThat(browser.getCurrentUrl())
                .contains("status=failed", "agent_id=searched", "error=dirty+lens", "label=team%3Dsearch");
        assertThat(browser.findElement(By.tagName("tbody")).getText()).contains("the lens is dirty", "resize");

        awaitShown(By.linkText(failed)).click();
        awaitText(By.className("timeline"), "Attempt 2 of 2 assigned to searched");
        assertThat(timeline())
                .hasSize(6)
                .satisfies(steps -> assertThat(steps.get(2)).contains("Attempt 1 ended: failed", "the lens is dirty"))
                .satisfies(steps -> assertThat(steps.get(5)).contains("Failed", "the lens is dirty"));
        awaitText(By.id("kept"), "\"width\": 640");

        browser.navigate().back();
        awaitText(By.id("found"), "1 task");
        assertThat(awaitShown(By.id("filter-error")).getAttribute("value")).isEqualTo("dirty lens");
        awaitShown(By.id("filter-error")).clear();
        awaitShown(By.id("filter-error")).sendKeys("nothing has this");
        button(awaitShown(By.id("filter")), "Search").click();
        awaitText(By.id("found"), "No tasks found.");
    }

    @Test
    void tasksAreSubmittedRetriedAndRedriven() {
        coordinator.register("worked", 9, "worked");
        open("/tasks?agent_id=worked");
        awaitShown(By.cssSelector("#submission summary")).click();
        write(
                "new-task",
                "{\"task_data\":{\"x\":1},\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"worked\"]}}");
        button(awaitShown(By.id("submission")), "Submit").click();
        awaitText(By.id("task-status"), "assigned");
        JsonNode first = coordinator.awaitRecords("assignments.worked", 1).get(0);
        coordinator.report(first, "failed", "x must be 2");
        awaitText(By.id("task-status"), "failed");

        awaitShown(By.cssSelector("#retry summary")).click();
        write("retry-task", "{\"task_data\":{\"x\":2}}");
        button(awaitShown(By.id("retry")), "Retry").click();
        JsonNode second = coordinator.awaitRecords("assignments.worked", 2).get(1);
        assertThat(second.at("/task_data/x").asInt()).isEqualTo(2);
        awaitText(By.tagName("h1"), second.get("task_id").asString());

        open("/tasks?agent_id=worked&status=failed");
        awaitText(By.id("found"), "1 task");
        button(awaitShown(By.id("main")), "Redrive all…").click();
        awaitText(By.id("question-text"), "1 task would be redriven.");
        button(awaitShown(By.id("question")), "Redrive 1 task").click();
        awaitText(By.id("notice"), "1 task redriven.");
        assertThat(coordinator.awaitRecords("assignments.worked", 3).get(2).get("task_id"))
                .isEqualTo(first.get("task_id"));
    }

    @Test
    void theOverviewSaysWhatHoldsTasksUp() {
        coordinator.register("overview-agent", 1, "overview");
        List<String> waiting = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            waiting.add(coordinator.submit("{\"task_data\":{},\"requirements\":{\"capabilities\":[\"quantum\"]}}"));
        }
        coordinator.submit("{\"task_data\":{},\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"overview\"]}}");
        try {
            open("/overview");
            awaitText(By.className("verdict"), "Stuck: 3 tasks wait and no task is assigned");
            awaitText(By.id("blocked"), "No agent has capability quantum");
            awaitText(By.id("now-waiting"), "3");
            await().atMost(LONG)
                    .ignoreExceptions()
                    .until(() -> Integer.parseInt(
                                    browser.findElement(By.id("now-running")).getText())
                            >= 1);
            awaitText(By.id("now-agents"), "active");
            coordinator.report(
                    coordinator.awaitRecords("assignments.overview-agent", 1).get(0), "failed", "out of ink");
            browser.navigate().refresh();
            awaitText(By.id("failures"), "out of ink");
            new Select(awaitShown(By.id("overview-last"))).selectByValue("7d");

            awaitShown(By.xpath("//*[@id='blocked']//a[text()='3']")).click();
            awaitText(By.id("found"), "3 tasks");
            assertThat(browser.getCurrentUrl()).contains("capability=quantum");
        } finally {
            waiting.forEach(id -> coordinator.post("/tasks/" + id + "/cancel", ""));
        }
    }

    @Test
    void columnsAreChosenAndTasksExported() throws IOException {
        coordinator.register("exported", 3, "exported");
        List<String> ids = new ArrayList<>();
        for (String type : List.of("plain", "=1+1", "a,\\\"b\\\"")) {
            ids.add(coordinator.submit("{\"task_data\":{\"task_type\":\"" + type
                    + "\"},\"labels\":{\"batch\":\"7\"},\"requirements\":{\"capabilities\":[\"exported\"]}}"));
        }
        open("/tasks?label=batch%3D7");
        awaitText(By.id("found"), "3 tasks");
        awaitShown(By.cssSelector("#columns summary")).click();
        awaitShown(By.xpath("//*[@id='columns']//label[contains(.,'Labels')]/input"))
                .click();
        awaitText(By.cssSelector("[aria-label='Tasks'] tbody"), "batch=7");
        browser.navigate().refresh();
        awaitText(By.cssSelector("[aria-label='Tasks'] tbody"), "batch=7");

        button(awaitShown(By.id("main")), "Export CSV").click();
        awaitText(By.id("notice"), "3 tasks exported.");
        button(awaitShown(By.id("main")), "Export NDJSON").click();

        String csv = download(".csv");
        assertThat(csv).startsWith("task_id,status,priority,task_type,").contains(ids);
        assertThat(csv).contains("\"'=1+1\"", "\"a,\"\"b\"\"\"", "\"{\"\"batch\"\":\"\"7\"\"}\"");
        assertThat(download(".ndjson").lines())
                .extracting(line -> io.aitbc.contracts.Json.read(line, JsonNode.class)
                        .get("task_id")
                        .asString())
                .containsExactlyInAnyOrderElementsOf(ids);
        browser.executeScript("localStorage.clear()");
    }

    private static String download(String ending) throws IOException {
        Path file = await().atMost(LONG)
                .until(
                        () -> {
                            try (Stream<Path> files = Files.list(folder.resolve("downloads"))) {
                                return files.filter(one -> one.toString().endsWith(ending))
                                        .findFirst();
                            } catch (IOException e) {
                                return Optional.<Path>empty();
                            }
                        },
                        Optional::isPresent)
                .orElseThrow();
        return Files.readString(file);
    }

    @Test
    void aSelectedTaskThatEndsDoesNotHoldUpTheOthers() {
        coordinator.register("chosen", 4, "chosen");
        List<String> ids = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            ids.add(coordinator.submit(
                    "{\"task_data\":{},\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"chosen\"]}}"));
        }
        List<JsonNode> assignments = coordinator.awaitRecords("assignments.chosen", 3);
        coordinator.report(assignments.get(0), "failed", "one");
        coordinator.report(assignments.get(1), "failed", "two");
        String failed = assignments.get(0).get("task_id").asString();
        String running = assignments.get(2).get("task_id").asString();
        coordinator.awaitTask(failed, "failed");
        coordinator.awaitTask(assignments.get(1).get("task_id").asString(), "failed");
        open("/tasks?agent_id=chosen");
        awaitText(By.id("found"), "3 tasks");
        await().atMost(LONG)
                .until(() ->
                        browser.findElements(By.cssSelector("tbody .bad-text")).size() == 2);

        awaitShown(By.cssSelector("[aria-label='Select " + failed + "']")).click();
        awaitShown(By.cssSelector("[aria-label='Select " + running + "']")).click();
        button(awaitShown(By.id("main")), "Cancel 1 selected…").click();
        awaitText(By.id("question-text"), "Cancel 1 task?");
        // The list does not show it yet.
        coordinator.report(assignments.get(2), "completed", null);
        coordinator.awaitTask(running, "completed");
        button(awaitShown(By.id("question")), "Cancel 1 task").click();
        awaitText(By.id("notice"), "0 of 1 task cancelled. " + running);
        button(awaitShown(By.id("main")), "Redrive 1 selected…").click();
        button(awaitShown(By.id("question")), "Redrive 1 task").click();

        awaitText(By.id("notice"), "1 task redriven.");
        coordinator.awaitTask(failed, "assigned");
    }

    @Test
    void agentsAreFoundByWhatTheyOfferAndDrainedTogether() {
        coordinator.register("offers-1", 1, "paint", "easel:8");
        coordinator.register("offers-2", 1, "paint");
        coordinator.register("offers-3", 1, "sing");
        open("/agents?search=paint");
        await().atMost(LONG).ignoreExceptions().until(() -> shownAgents().equals(List.of("offers-1", "offers-2")));
        awaitText(By.id("versions"), "Versions: 1.0.0 (2)");

        awaitShown(By.cssSelector("[aria-label='Select offers-1']")).click();
        awaitShown(By.cssSelector("[aria-label='Select offers-2']")).click();
        button(awaitShown(By.id("main")), "Drain 2 selected…").click();
        awaitText(By.id("question-text"), "Drain 2 agents?");
        button(awaitShown(By.id("question")), "Drain 2 agents").click();

        awaitText(By.id("notice"), "Status of 2 agents is now maintenance.");
        assertThat(browser.findElements(By.cssSelector("tbody input:checked"))).isEmpty();
        assertThat(List.of("offers-1", "offers-2", "offers-3"))
                .extracting(id -> coordinator
                        .get("/agents/" + id)
                        .body()
                        .at("/agent/status")
                        .asString())
                .containsExactly("maintenance", "maintenance", "active");
        awaitShown(By.id("agent-search")).clear();
        awaitShown(By.id("agent-search")).sendKeys("EASEL:8");
        await().atMost(LONG).ignoreExceptions().until(() -> shownAgents().equals(List.of("offers-1")));
        assertThat(browser.getCurrentUrl()).contains("search=EASEL");
    }

    @Test
    void deadLettersAreRedrivenByReason() {
        coordinator.register("sleeping", 2, "sleeping");
        String id = coordinator.submit(
                "{\"task_data\":{},\"max_attempts\":1,\"timeout_seconds\":1,\"requirements\":{\"capabilities\":[\"sleeping\"]}}");
        coordinator.awaitTask(id, "failed");
        await().atMost(LONG)
                .until(() -> coordinator
                                .get("/tasks?status=failed&reason=overdue")
                                .body()
                                .get("count")
                                .asInt()
                        == 1);
        coordinator.publish("tasks.low", "no-task", "this is no JSON");
        open("/dead-letters");
        awaitText(By.id("reasons"), "overdue");
        awaitText(By.tagName("main"), "Record");

        awaitShown(By.cssSelector("[aria-label='Redrive all overdue']")).click();
        awaitText(By.id("question-text"), "1 task would be redriven.");
        button(awaitShown(By.id("question")), "Redrive 1 task").click();

        awaitText(By.id("notice"), "1 task redriven.");
        assertThat(coordinator
                        .awaitRecords("assignments.sleeping", 2)
                        .get(1)
                        .get("task_id")
                        .asString())
                .isEqualTo(id);
    }

    /** In one step: it is rendered again when the history adds to it. */
    @SuppressWarnings("unchecked")
    private static List<String> timeline() {
        return (List<String>) browser.executeScript(
                "return [...document.querySelectorAll('.timeline li')].map((one) => one.innerText)");
    }

    private static void write(String id, String text) {
        WebElement input = awaitShown(By.id(id));
        input.clear();
        input.sendKeys(text);
    }

    @Test
    void statisticsLeadToTheTasksBehindThem() {
        coordinator.register("counted", 5, "counted");
        String id = coordinator.submit(
                "{\"task_data\":{\"task_type\":\"weigh\"},\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"counted\"]}}");
        coordinator.report(
                coordinator.awaitRecords("assignments.counted", 1).get(0), "failed", "scale \"A\" is off by 7%");
        coordinator.awaitTask(id, "failed");
        await().atMost(LONG)
                .until(() -> coordinator
                                .get("/tasks?status=failed&task_type=weigh")
                                .body()
                                .get("count")
                                .asInt()
                        == 1);

        open("/statistics?last=15m");
        awaitText(By.id("ended"), " failed (");
        awaitText(By.cssSelector("[aria-label='Tasks by type']"), "weigh");
        new Select(awaitShown(By.id("statistics-by"))).selectByValue("agent_id");
        awaitText(By.cssSelector("[aria-label='Tasks by agent']"), "counted");
        awaitShown(By.linkText("scale \"A\" is off by 7%")).click();
        awaitText(By.id("found"), "1 task");
        assertThat(browser.findElement(By.tagName("tbody")).getText()).contains(id);
    }

    /** Text that JavaScript prints for a missing value or one of an unexpected type. */
    private static final String NOT_FOR_READERS = "\\[object |undefined|NaN|Infinity|Invalid Date|(?<!')\\bnull\\b";

    /**
     * Opens every view with every kind of content: agents of each status, with and without assignments; tasks of each status; queues with
     * tasks of each kind; dead letters of tasks and of invalid records.
     */
    @Test
    void noViewShowsUnformattedValues() {
        List<String> views = new ArrayList<>(List.of(
                "/overview", "/queues", "/agents", "/tasks", "/statistics", "/dead-letters", "/cluster", "/nowhere"));
        submitEveryKind().forEach(id -> views.add("/tasks/" + id));
        List.of("kinds-agent", "kinds-idle", "kinds-drained", "kinds-gone", "kinds-nobody")
                .forEach(id -> views.add("/agents/" + id));
        open("/start");
        try {
            for (String view : views) {
                goTo(view);
                awaitText(By.id("connection"), "Live");
                awaitNothingPending();
                assertReadable(view);
            }
            // The browser logs the expected 404 for these.
            assertThat(browser.manage().logs().get("browser").getAll())
                    .allMatch(entry -> entry.getMessage().matches(".*/(agents/kinds-nobody|tasks/kind-unknown) .*"));
            open("/agents/kinds-agent");
            awaitText(By.id("main"), "2 of 2, earliest deadline first");
            assertThat(browser.findElements(By.cssSelector("[aria-label='Assignments'] tbody tr")))
                    .hasSize(2);
            open("/queues");
            for (String queue : List.of("high", "low", "urgent")) {
                new Select(awaitShown(By.id("front-of"))).selectByValue(queue);
                awaitText(By.id("main"), queue.equals("urgent") ? "The queue is empty." : "oldest first");
                assertReadable("/queues with the front of " + queue);
            }
        } finally {
            List.of("high", "low").forEach(queue -> coordinator.post("/tasks/queues/" + queue + "/clear", ""));
        }
    }

    /** Submits one task of each kind and returns their ids. */
    private static List<String> submitEveryKind() {
        coordinator.register("kinds-agent", 2, "kinds");
        coordinator.register("kinds-idle", 1);
        coordinator.register("kinds-drained", 1);
        coordinator.send("PUT", "/agents/kinds-drained/status", "{\"status\":\"maintenance\"}");
        coordinator.register("kinds-gone", 1);
        coordinator.send("DELETE", "/agents/kinds-gone", null);
        int given = 0;
        for (String end : List.of("completed", "failed", "retried", "cancelled")) {
            int attempts = end.equals("retried") ? 2 : 1;
            coordinator.submit("{\"task_id\":\"kind-" + end + "\",\"task_data\":{},\"max_attempts\":" + attempts
                    + ",\"requirements\":{\"capabilities\":[\"kinds\"]}}");
            JsonNode assignment = assignmentOf("kinds-agent", given++);
            if (end.equals("cancelled")) {
                coordinator.post("/tasks/kind-cancelled/cancel", "");
                given++;
            } else {
                coordinator.report(
                        assignment,
                        end.equals("completed") ? end : "failed",
                        end.equals("completed") ? null : "no luck");
            }
            if (end.equals("retried")) {
                coordinator.report(assignmentOf("kinds-agent", given++), "completed", null);
            }
            coordinator.awaitTask("kind-" + end, end.equals("retried") ? "completed" : end);
        }
        for (String id : List.of("kind-assigned", "kind-in-progress")) {
            coordinator.submit(
                    "{\"task_id\":\"" + id + "\",\"task_data\":{},\"requirements\":{\"capabilities\":[\"kinds\"]}}");
        }
        assignmentOf("kinds-agent", given);
        JsonNode inProgress = assignmentOf("kinds-agent", given + 1);
        coordinator.report(inProgress, "progress", null);
        await().atMost(LONG)
                .until(() -> coordinator
                        .get("/tasks/" + inProgress.get("task_id").asString())
                        .body()
                        .has("progress"));
        coordinator.submit("{\"task_id\":\"kind-expired\",\"task_data\":{},\"expires_at\":\""
                + Instant.now().plusSeconds(1) + "\",\"requirements\":{\"capabilities\":[\"of-nobody\"]}}");
        coordinator.submit("{\"task_id\":\"kind-impossible\",\"task_data\":{},\"priority\":\"high\","
                + "\"requirements\":{\"capabilities\":[\"of-nobody\",\"memory>=64\"],\"region\":\"eu\"}}");
        coordinator.submit(
                "{\"task_id\":\"kind-pinned\",\"task_data\":{},\"priority\":\"high\",\"requirements\":{\"agent_id\":\"kinds-gone\"}}");
        coordinator.submit(
                "{\"task_id\":\"kind-in-line\",\"task_data\":{},\"priority\":\"low\",\"requirements\":{\"capabilities\":[\"kinds\"]}}");
        coordinator.submit(
                "{\"task_id\":\"kind-later\",\"task_data\":{},\"priority\":\"low\",\"not_before\":\"2100-01-01T00:00:00Z\"}");
        coordinator.publish("tasks.low", "kind-no-task", "no JSON");
        coordinator.publish("tasks.results", null, "{}");
        coordinator.awaitTask("kind-expired", "expired");
        await().atMost(LONG)
                .until(
                        () -> coordinator.get("/tasks/dead-letter").body().toString(),
                        text -> text.contains("kind-failed") && text.contains("tasks.results"));
        return List.of(
                "kind-completed",
                "kind-failed",
                "kind-retried",
                "kind-cancelled",
                "kind-expired",
                "kind-assigned",
                "kind-in-progress",
                "kind-impossible",
                "kind-pinned",
                "kind-in-line",
                "kind-later",
                "kind-unknown");
    }

    private static JsonNode assignmentOf(String agentId, int number) {
        return coordinator.awaitRecords("assignments." + agentId, number + 1).get(number);
    }

    /** Checks all text of the page, including the text for screen readers; JSON is excluded because it is shown verbatim. */
    private static void assertReadable(String view) {
        String shown = (String) browser.executeScript("""
                const copy = document.body.cloneNode(true);
                copy.querySelectorAll("pre, script").forEach((one) => one.remove());
                return copy.textContent + [...copy.querySelectorAll("*")].flatMap((one) => [...one.attributes].map((each) => " " + each.value)).join("");
                """);
        assertThat(shown).as(view).doesNotContainPattern(NOT_FOR_READERS);
    }

    /** Its policy forbids scripts and styles in pages: the browser would report one. */
    @Test
    void theApiDocumentationIsShown() {
        browser.get("http://127.0.0.1:" + coordinator.port() + "/docs");
        awaitText(By.id("swagger-ui"), "/tasks/submit");
        WebElement operation = awaitShown(By.cssSelector("#operations-tasks-status, .opblock-get"));
        operation.findElement(By.tagName("button")).click();
        await().atMost(LONG)
                .until(() ->
                        !operation.findElements(By.className("try-out__btn")).isEmpty());
        operation.findElement(By.className("try-out__btn")).click();
        assertThat(operation.findElements(By.className("execute"))).isNotEmpty();
    }

    /** Whoever may write to a topic may write anything: pages show it as it is. */
    @Test
    void whatOthersWriteIsShownAsText() {
        String hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>";
        String json = hostile.replace("\"", "\\\"");
        assertThat(coordinator
                        .post(
                                "/agents/register",
                                "{\"agent_id\":\"hostile\",\"agent_type\":\"" + json + "\",\"region\":\"" + json
                                        + "\",\"tags\":[\"" + json + "\"],\"version\":\"" + json
                                        + "\",\"capabilities\":[\"hostile\",\"" + json + "\"]}")
                        .code())
                .isEqualTo(200);
        coordinator.reach("hostile");
        String failed = coordinator.submit("{\"task_id\":\"hostile-failed\",\"task_data\":{\"" + json + "\":\"" + json
                + "\"},\"fairness_key\":\"" + json
                + "\",\"max_attempts\":1,\"requirements\":{\"capabilities\":[\"hostile\"]}}");
        coordinator.report(assignmentOf("hostile", 0), "failed", hostile);
        coordinator.awaitTask(failed, "failed");
        coordinator.publish("tasks.low", hostile, hostile);
        coordinator.publish("tasks.low", "x", "{\"task_id\":\"" + json + "\"}");
        String waiting = coordinator.submit("{\"task_id\":\"hostile-waiting\",\"task_data\":{},\"priority\":\"low\","
                + "\"requirements\":{\"capabilities\":[\"" + json + "-2\"]}}");
        await().atMost(LONG)
                .until(
                        () -> coordinator
                                .get("/tasks/dead-letter")
                                .body()
                                .get("dead_letters")
                                .toString(),
                        text -> text.split("onerror", -1).length > 3);
        try {
            for (String view : List.of(
                    "/statistics",
                    "/dead-letters",
                    "/agents",
                    "/agents/hostile",
                    "/tasks/" + failed,
                    "/tasks/" + waiting,
                    "/tasks/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E",
                    "/tasks")) {
                open(view);
                awaitText(By.id("main"), "<img src=x onerror=alert(1)>");
                awaitNothingPending();
                assertThat(browser.findElements(By.cssSelector("img, #main script, [onerror]")))
                        .as(view)
                        .isEmpty();
            }
            open("/queues");
            new Select(awaitShown(By.id("front-of"))).selectByValue("low");
            awaitText(By.id("main"), "<img src=x onerror=alert(1)>");
        } finally {
            coordinator.post("/tasks/" + waiting + "/cancel", "");
            coordinator.send("DELETE", "/agents/hostile", null);
        }
    }

    private static void look(String look) {
        browser.executeCdpCommand(
                "Emulation.setEmulatedMedia",
                Map.of(
                        "features",
                        List.of(Map.of(
                                "name", "prefers-color-scheme", "value", look.equals("dark") ? "dark" : "light"))));
        browser.executeCdpCommand(
                "Emulation.setDeviceMetricsOverride",
                look.equals("phone")
                        ? Map.of("width", 390, "height", 844, "deviceScaleFactor", 2, "mobile", true)
                        : Map.of("width", 1280, "height", 1000, "deviceScaleFactor", 1, "mobile", false));
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }

    private static void open(String view) {
        browser.get("http://127.0.0.1:" + coordinator.port() + "/dashboard/?" + System.nanoTime() + "#" + view);
    }

    /** Navigates like a click on a link, without reloading the page, which is several times faster than opening it. */
    private static void goTo(String view) {
        browser.executeAsyncScript("""
                const [view, done] = arguments;
                window.addEventListener("hashchange", () => setTimeout(done), { once: true });
                location.hash = view;
                """, view);
    }

    private static WebElement awaitShown(By element) {
        return await().atMost(LONG)
                .ignoreExceptions()
                .until(() -> browser.findElement(element), WebElement::isDisplayed);
    }

    private static void awaitText(By element, String text) {
        await().atMost(LONG)
                .ignoreExceptions()
                .untilAsserted(
                        () -> assertThat(browser.findElement(element).getText()).contains(text));
    }

    /** Waits until no part of the view is loading. */
    private static void awaitNothingPending() {
        await().atMost(LONG)
                .ignoreExceptions()
                .untilAsserted(
                        () -> assertThat(browser.findElement(By.id("main")).getText())
                                .doesNotContainPattern("Waiting for (data|agents)…")
                                .doesNotContain("Loading…"));
    }

    private static WebElement button(WebElement within, String text) {
        return await("button " + text)
                .atMost(LONG)
                .until(
                        () -> within.findElements(By.tagName("button")).stream()
                                .filter(one -> one.getText().equals(text))
                                .findFirst(),
                        Optional::isPresent)
                .orElseThrow();
    }

    private static List<String> shownAgents() {
        return browser.findElements(By.cssSelector("tbody th")).stream()
                .map(WebElement::getText)
                .toList();
    }
}
