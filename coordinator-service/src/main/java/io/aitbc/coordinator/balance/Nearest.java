package io.aitbc.coordinator.balance;

import io.aitbc.contracts.Location;
import io.aitbc.contracts.Task;
import java.util.Arrays;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Selects the agent nearest to the requested location. Agents of the requested region come before all others, then great-circle
 * distance decides; agents without a known location come last. Among equally near agents, the one with the lowest share of
 * capacity in use wins.
 *
 * <p>Agents at the same location share a group, ordered by load, so a choice examines each location once. Locations are points on
 * the unit sphere. The chord between two points grows with their great-circle distance (Sinnott, "Virtues of the Haversine",
 * 1984). Squared chords are therefore compared, which takes only a few multiplications per location.
 */
final class Nearest implements Selection {
    /** The point for unknown locations: farther from every location than any two locations are from each other. */
    private static final Point UNKNOWN_POINT = new Point(100, 100, 100);

    /** Greater than any squared distance to {@link #UNKNOWN_POINT}. */
    private static final double OTHER_REGION_PENALTY = 100_000;

    private static final int NO_REGION = -1;
    private static final int MAX_CACHED_POINTS = 4_096;

    private final Map<Site, SiteGroup> groups = new HashMap<>();
    private final Map<Candidate, SiteGroup> groupOf = new IdentityHashMap<>();
    /** Region names as numbers, which compare faster: each choice compares the region of every group. */
    private final Map<String, Integer> regions = new HashMap<>();
    /** Cache of requested locations: many tasks request the same few, and a sine costs as much as ten distance computations. */
    private final Map<Location, Point> points = new HashMap<>();

    // The groups and their coordinates, in arrays, because each choice scans all of them. The order has no meaning.
    private SiteGroup[] groupAt = new SiteGroup[8];
    private double[] xs = new double[8];
    private double[] ys = new double[8];
    private double[] zs = new double[8];
    private int[] regionOf = new int[8];
    /** Distance of each group from the location that the current task requests. */
    private double[] distances = new double[8];

    private int size;

    private record Site(@Nullable String region, @Nullable Location location) {}

    private record Point(double x, double y, double z) {
        static Point of(Location location) {
            double lat = Math.toRadians(location.lat());
            double lon = Math.toRadians(location.lon());
            return new Point(Math.cos(lat) * Math.cos(lon), Math.cos(lat) * Math.sin(lon), Math.sin(lat));
        }
    }

    /** The agents at one location, the least loaded first. */
    private static final class SiteGroup {
        final Site site;
        final Ranking byLoad = new Ranking(Nearest::load);
        int index;

        SiteGroup(Site site, int index) {
            this.site = site;
            this.index = index;
        }
    }

    @Override
    public @Nullable Candidate next(Task task) {
        String region = task.requirements().region();
        int wanted = region == null ? NO_REGION : regions.getOrDefault(region, Integer.MAX_VALUE);
        Location location = task.requirements().location();
        Point here = location == null ? null : point(location);
        computeDistances(here);
        Candidate nearest = null;
        double least = Double.MAX_VALUE;
        for (int i = 0; i < size; i++) {
            double distance = distances[i];
            if (wanted != NO_REGION && wanted != regionOf[i]) {
                distance += OTHER_REGION_PENALTY;
            }
            if (distance <= least) {
                Candidate first = groupAt[i].byLoad.first();
                if (first != null && (nearest == null || distance < least || load(first) < load(nearest))) {
                    nearest = first;
                    least = distance;
                }
            }
        }
        return nearest;
    }

    /** Kept as a tight loop, so that the compiler can vectorise it. */
    private void computeDistances(@Nullable Point here) {
        if (here == null) {
            Arrays.fill(distances, 0, size, 0);
            return;
        }
        double x = here.x;
        double y = here.y;
        double z = here.z;
        for (int i = 0; i < size; i++) {
            double dx = x - xs[i];
            double dy = y - ys[i];
            double dz = z - zs[i];
            distances[i] = dx * dx + dy * dy + dz * dz;
        }
    }

    private Point point(Location location) {
        Point known = points.get(location);
        if (known == null) {
            if (points.size() == MAX_CACHED_POINTS) {
                points.clear();
            }
            known = Point.of(location);
            points.put(location, known);
        }
        return known;
    }

    private static double load(Candidate candidate) {
        return (double) candidate.held() / candidate.agent().capacity();
    }

    @Override
    public void chosen(Candidate candidate) {
        Objects.requireNonNull(groupOf.get(candidate)).byLoad.chosen(candidate);
    }

    @Override
    public void put(Candidate candidate) {
        var agent = candidate.agent().registration();
        SiteGroup old = groupOf.get(candidate);
        if (old != null && !isAt(old.site, agent.region(), agent.location())) {
            remove(candidate);
            old = null;
        }
        SiteGroup group = old;
        if (group == null) {
            group = groups.computeIfAbsent(new Site(agent.region(), agent.location()), this::addGroup);
            groupOf.put(candidate, group);
        }
        group.byLoad.put(candidate);
    }

    private SiteGroup addGroup(Site site) {
        if (size == groupAt.length) {
            groupAt = Arrays.copyOf(groupAt, 2 * size);
            xs = Arrays.copyOf(xs, 2 * size);
            ys = Arrays.copyOf(ys, 2 * size);
            zs = Arrays.copyOf(zs, 2 * size);
            regionOf = Arrays.copyOf(regionOf, 2 * size);
            distances = new double[2 * size];
        }
        Point at = site.location() == null ? UNKNOWN_POINT : Point.of(site.location());
        groupAt[size] = new SiteGroup(site, size);
        xs[size] = at.x;
        ys[size] = at.y;
        zs[size] = at.z;
        regionOf[size] =
                site.region() == null ? NO_REGION : regions.computeIfAbsent(site.region(), r -> regions.size());
        return groupAt[size++];
    }

    /** Removes a group; the last one takes its index. */
    private void removeGroup(SiteGroup group) {
        groups.remove(group.site);
        size--;
        int gap = group.index;
        groupAt[gap] = groupAt[size];
        groupAt[gap].index = gap;
        xs[gap] = xs[size];
        ys[gap] = ys[size];
        zs[gap] = zs[size];
        regionOf[gap] = regionOf[size];
        groupAt[size] = null;
    }

    private static boolean isAt(Site site, @Nullable String region, @Nullable Location location) {
        return Objects.equals(site.region(), region) && Objects.equals(site.location(), location);
    }

    @Override
    public void remove(Candidate candidate) {
        SiteGroup group = groupOf.remove(candidate);
        if (group != null) {
            group.byLoad.remove(candidate);
            if (group.byLoad.isEmpty()) {
                removeGroup(group);
            }
        }
    }

    @Override
    public boolean isEmpty() {
        return groups.isEmpty();
    }
}
