package io.aitbc.coordinator.balance;

import io.aitbc.contracts.Location;
import io.aitbc.contracts.Requirements;
import io.aitbc.contracts.Task;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The agent nearest to where a task is wanted: those of the wanted region before all others, then by great-circle distance, those
 * whose place is not known last; of equally near ones the least loaded by share of capacity.
 *
 * <p>Agents at one place are one shelf, ordered by load, and a choice looks at each place once. Places are points on the unit sphere:
 * the chord between two of them grows with the great circle (haversine: Sinnott, "Virtues of the Haversine", 1984, where half the
 * chord is the root), so squares of chords are compared, and nothing but multiplications is needed for each place.
 */
final class Nearest implements Selection {
    /** More than the square of any chord. */
    private static final double NOWHERE = 5;

    private static final double OUTSIDE_THE_REGION = 10;

    private final Map<Site, Shelf> shelves = new LinkedHashMap<>();
    private final Map<String, Shelf> shelfOf = new HashMap<>();

    private record Site(@Nullable String region, @Nullable Location location) {}

    private record Point(double x, double y, double z) {
        static Point of(Location location) {
            double lat = Math.toRadians(location.lat());
            double lon = Math.toRadians(location.lon());
            return new Point(Math.cos(lat) * Math.cos(lon), Math.cos(lat) * Math.sin(lon), Math.sin(lat));
        }

        double chordSquared(Point other) {
            double dx = x - other.x;
            double dy = y - other.y;
            double dz = z - other.z;
            return dx * dx + dy * dy + dz * dz;
        }
    }

    /** The agents of one place, the least loaded first. */
    private static final class Shelf {
        final Site site;
        final @Nullable Point point;
        final Ranking byLoad = new Ranking(Nearest::load);

        Shelf(Site site) {
            this.site = site;
            this.point = site.location() == null ? null : Point.of(site.location());
        }
    }

    @Override
    public @Nullable Candidate next(Task task) {
        Requirements wanted = task.requirements();
        Point here = wanted.location() == null ? null : Point.of(wanted.location());
        Candidate nearest = null;
        double least = 0;
        for (Shelf shelf : shelves.values()) {
            double distance = distance(shelf, wanted.region(), here);
            if (nearest == null || distance <= least) {
                Candidate first = shelf.byLoad.first();
                if (nearest == null || distance < least || load(first) < load(nearest)) {
                    nearest = first;
                    least = distance;
                }
            }
        }
        return nearest;
    }

    private static double distance(Shelf shelf, @Nullable String region, @Nullable Point here) {
        double outside = region == null || region.equals(shelf.site.region()) ? 0 : OUTSIDE_THE_REGION;
        if (here == null) {
            return outside;
        }
        return outside + (shelf.point == null ? NOWHERE : shelf.point.chordSquared(here));
    }

    private static double load(Candidate candidate) {
        return (double) candidate.held() / candidate.agent().capacity();
    }

    @Override
    public void chosen(Candidate candidate) {
        shelfOf.get(candidate.id()).byLoad.chosen(candidate);
    }

    @Override
    public void put(Candidate candidate) {
        var agent = candidate.agent().registration();
        Shelf old = shelfOf.get(candidate.id());
        if (old != null && !isAt(old.site, agent.region(), agent.location())) {
            remove(candidate);
            old = null;
        }
        Shelf shelf = old;
        if (shelf == null) {
            shelf = shelves.computeIfAbsent(new Site(agent.region(), agent.location()), Shelf::new);
            shelfOf.put(candidate.id(), shelf);
        }
        shelf.byLoad.put(candidate);
    }

    private static boolean isAt(Site site, @Nullable String region, @Nullable Location location) {
        return Objects.equals(site.region(), region) && Objects.equals(site.location(), location);
    }

    @Override
    public void remove(Candidate candidate) {
        Shelf shelf = shelfOf.remove(candidate.id());
        if (shelf != null) {
            shelf.byLoad.remove(candidate);
            if (shelf.byLoad.isEmpty()) {
                shelves.remove(shelf.site);
            }
        }
    }

    @Override
    public boolean isEmpty() {
        return shelves.isEmpty();
    }
}
