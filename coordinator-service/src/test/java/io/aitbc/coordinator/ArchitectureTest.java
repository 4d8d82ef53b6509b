package io.aitbc.coordinator;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static java.util.stream.Collectors.toCollection;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaPackage;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Dependency rules between packages. */
class ArchitectureTest {
    private static final String CONTRACTS = "io.aitbc.contracts";
    private static final String ROOT = "io.aitbc.coordinator";

    /** The layers, from the bottom up. A package uses only lower ones. */
    private static final String LAYERS = """
            agent background limit redis trace
            balance kafka
            deadletter event history match security
            taskstate usage
            assign audit queue registry
            delivery dispatch intake settle
            bulk push
            start stats
            api live metrics
            """;

    /** The exact dependencies of each package besides contracts. A new dependency is a decision, to be made here first. */
    private static final String USES = """
            agent
            background
            limit
            redis
            trace
            balance    agent
            kafka      background
            deadletter background kafka trace
            event      background kafka redis
            history    background kafka
            match      agent balance limit
            assign     event kafka limit match redis security taskstate trace usage
            audit      background kafka security
            queue      background kafka match trace
            registry   agent background deadletter kafka limit redis security taskstate
            taskstate  limit match redis
            usage      limit redis
            delivery   agent background kafka redis registry trace
            dispatch   agent assign background balance deadletter event kafka limit match queue redis registry taskstate usage
            intake     background deadletter event kafka match queue redis security taskstate trace
            security   background kafka
            settle     background deadletter event kafka match queue redis registry security taskstate trace usage
            bulk       assign background deadletter history intake taskstate
            push       agent background delivery intake redis registry
            start      assign audit background bulk delivery dispatch event history intake kafka push queue redis registry security settle
            stats      agent background balance dispatch history kafka limit match queue redis registry taskstate usage
            api        agent assign audit background balance deadletter delivery dispatch history intake kafka limit match queue redis registry security start stats taskstate trace usage
            live       agent background dispatch kafka redis registry security start stats taskstate
            metrics    agent background balance dispatch kafka limit match registry start stats
            """;

    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages(CONTRACTS, ROOT);

    @Test
    void packagesUseExactlyThoseInTheTable() {
        Map<String, Set<String>> table = table();
        Map<String, Set<String>> used = new TreeMap<>();
        coordinator()
                .forEach(type -> used.computeIfAbsent(stage(type), stage -> new TreeSet<>())
                        .addAll(stagesUsed(type)));

        assertThat(used).isEqualTo(table);
    }

    @Test
    void noPackageUsesOneOfItsLayerOrAbove() {
        List<Set<String>> layers =
                LAYERS.lines().map(layer -> Set.of(layer.split(" "))).toList();
        assertThat(layers.stream().flatMap(Set::stream)).containsExactlyInAnyOrderElementsOf(table().keySet());
        table().forEach((stage, used) -> assertThat(layers.stream()
                        .takeWhile(layer -> !layer.contains(stage))
                        .flatMap(Set::stream))
                .as("below %s", stage)
                .containsAll(used));
    }

    @Test
    void packagesFormNoCycle() {
        slices().matching(ROOT + ".(*)..").should().beFreeOfCycles().check(CLASSES);
    }

    /** No Spring, Kafka, Redis, network or database: only values and collections. */
    @ParameterizedTest
    @CsvSource({"agent", "balance", "limit", "match"})
    void decisionsArePure(String stage) {
        classes()
                .that()
                .resideInAPackage(ROOT + "." + stage)
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage(
                        CONTRACTS,
                        ROOT + ".agent",
                        ROOT + ".balance",
                        ROOT + ".limit",
                        ROOT + ".match",
                        "java.lang..",
                        "java.nio.charset",
                        "java.time",
                        "java.util",
                        "java.util.function",
                        "java.util.random",
                        "java.util.stream",
                        "org.jspecify.annotations")
                .check(CLASSES);
        assertThat(
                        accesses(
                                coordinator().filter(type -> stage(type).equals(stage)),
                                "java\\.time\\..*\\.(now|system.*)|java\\.lang\\.(System|Thread)\\..*|.*\\.[rR]andom\\.<init>|.*Math\\.random"))
                .isEmpty();
    }

    @Test
    void theTimeComesFromAnInjectedClock() {
        assertThat(accesses(
                        coordinator(),
                        "java\\.time\\.(Instant|\\w*Date\\w*)\\.now|java\\.lang\\.System\\.currentTimeMillis"))
                .isEmpty();
    }

    @Test
    void contractsAreIndependent() {
        noClasses()
                .that()
                .resideInAPackage(CONTRACTS + "..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("org.springframework..", "org.apache.kafka..", "io.lettuce..", ROOT + "..")
                .check(CLASSES);
    }

    @Test
    void namesStateAResponsibility() {
        noClasses().should().haveNameMatching(".*(Manager|Helper|Utils?|Impl)").check(CLASSES);
    }

    @Test
    void everyPackageIsDocumentedAndNullMarked() {
        assertThat(CLASSES.stream().map(JavaClass::getPackage).distinct())
                .hasSizeGreaterThan(10)
                .filteredOn(found -> !isNullMarked(found))
                .isEmpty();
    }

    @Test
    void onlyTheStartPrints() {
        // The first admin key is printed, because logs are kept.
        assertThat(accesses(
                        CLASSES.stream()
                                .filter(type -> !type.isEquivalentTo(StartupSettings.class)
                                        && !type.getSimpleName().equals("SecurityConfiguration")),
                        "java\\.lang\\.System\\.(out|err)|.*\\.printStackTrace"))
                .isEmpty();
    }

    private static Map<String, Set<String>> table() {
        Map<String, Set<String>> table = new TreeMap<>();
        for (String line : USES.lines().toList()) {
            String[] words = line.split(" +");
            table.put(words[0], new TreeSet<>(Arrays.asList(words).subList(1, words.length)));
        }
        return table;
    }

    private static boolean isNullMarked(JavaPackage found) {
        return found.isAnnotatedWith(NullMarked.class);
    }

    private static Stream<JavaClass> coordinator() {
        return CLASSES.stream().filter(type -> type.getPackageName().startsWith(ROOT));
    }

    /** Returns the package below the root; the root itself is the start. */
    private static String stage(JavaClass type) {
        return type.getPackageName().equals(ROOT)
                ? "start"
                : type.getPackageName().substring(ROOT.length() + 1);
    }

    private static Set<String> stagesUsed(JavaClass type) {
        return type.getDirectDependenciesFromSelf().stream()
                .map(Dependency::getTargetClass)
                .map(JavaClass::getBaseComponentType)
                .filter(used ->
                        used.getPackageName().startsWith(ROOT) && !stage(used).equals(stage(type)))
                .map(ArchitectureTest::stage)
                .collect(toCollection(TreeSet::new));
    }

    private static Stream<String> accesses(Stream<JavaClass> from, String targets) {
        return from.flatMap(type -> type.getAccessesFromSelf().stream())
                .filter(access -> target(access).matches(targets))
                .map(JavaAccess::getDescription);
    }

    private static String target(JavaAccess<?> access) {
        return access.getTargetOwner().getFullName() + "." + access.getName();
    }
}
