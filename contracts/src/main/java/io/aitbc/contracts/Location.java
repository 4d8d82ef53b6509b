package io.aitbc.contracts;

/**
 * A place on Earth.
 *
 * @param lat degrees north, -90 to 90
 * @param lon degrees east, -180 to 180
 */
public record Location(double lat, double lon) {
    public Location {
        Checks.range("location.lat", lat, -90, 90);
        Checks.range("location.lon", lon, -180, 180);
    }
}
