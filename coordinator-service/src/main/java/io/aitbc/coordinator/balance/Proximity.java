package io.aitbc.coordinator.balance;

import io.aitbc.contracts.Location;
import io.aitbc.contracts.Requirements;
import java.util.function.ToDoubleFunction;

/**
 * How far an agent is from where a task is wanted, in kilometres; an agent outside the wanted region counts as farther than any
 * inside. An agent of unknown location counts as the farthest of its region. Of equally distant agents, the less loaded is nearer
 * by less than a kilometre.
 */
final class Proximity implements ToDoubleFunction<Candidate> {
    private static final double EARTH_RADIUS_KM = 6_371.0;
    private static final double FARTHEST_KM = 20_100;

    private final Requirements wanted;

    Proximity(Requirements wanted) {
        this.wanted = wanted;
    }

    @Override
    public double applyAsDouble(Candidate candidate) {
        var agent = candidate.agent().registration();
        double outside = wanted.region() == null || wanted.region().equals(agent.region()) ? 0 : FARTHEST_KM + 1;
        double distance = wanted.location() == null
                ? 0
                : agent.location() == null ? FARTHEST_KM : kilometres(wanted.location(), agent.location());
        return outside + distance + (double) candidate.held() / (agent.capacity() + 1);
    }

    /** Great-circle distance by the haversine formula (Sinnott, "Virtues of the Haversine", 1984). */
    static double kilometres(Location from, Location to) {
        double lat1 = Math.toRadians(from.lat());
        double lat2 = Math.toRadians(to.lat());
        double halfLat = Math.sin((lat2 - lat1) / 2);
        double halfLon = Math.sin(Math.toRadians(to.lon() - from.lon()) / 2);
        double h = halfLat * halfLat + Math.cos(lat1) * Math.cos(lat2) * halfLon * halfLon;
        return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(h)));
    }
}
