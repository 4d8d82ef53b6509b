package io.aitbc.contracts;

import java.math.BigInteger;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * Recognizes addresses of the public Internet. A URL that comes from others must lead to no other address: those of this machine, of private
 * networks and of metadata services. Follows the special-purpose registries of IANA.
 */
public final class PublicAddress {
    private static final List<Network> EXCEPTIONS = Stream.of(
                    "0.0.0.0/8",
                    "10.0.0.0/8",
                    "100.64.0.0/10",
                    "127.0.0.0/8",
                    "169.254.0.0/16",
                    "172.16.0.0/12",
                    "192.0.0.0/24",
                    "192.0.2.0/24",
                    "192.88.99.0/24",
                    "192.168.0.0/16",
                    "198.18.0.0/15",
                    "198.51.100.0/24",
                    "203.0.113.0/24",
                    "224.0.0.0/3",
                    "2001::/23",
                    "2001:db8::/32",
                    "2002::/16",
                    "3fff::/20")
            .map(Network::parse)
            .toList();

    /** Only this part of IPv6 is assigned to the Internet. */
    private static final Network GLOBAL_UNICAST = Network.parse("2000::/3");
    /** An IPv4 address follows; networks without IPv4 reach it in this way (NAT64). */
    private static final Network NAT64 = Network.parse("64:ff9b::/96");

    private static final int IPV4_BYTES = 4;

    private PublicAddress() {}

    /** Whether the address belongs to the public Internet. */
    public static boolean includes(InetAddress address) {
        byte[] bytes = address.getAddress();
        if (NAT64.contains(bytes)) {
            return includes(of(Arrays.copyOfRange(bytes, bytes.length - IPV4_BYTES, bytes.length)));
        }
        return (bytes.length == IPV4_BYTES || GLOBAL_UNICAST.contains(bytes))
                && EXCEPTIONS.stream().noneMatch(network -> network.contains(bytes));
    }

    private static InetAddress of(byte[] bytes) {
        try {
            return InetAddress.getByAddress(bytes);
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException("not the length of an address", e);
        }
    }

    /** @param hostBits number of bits that differ within the network */
    private record Network(int length, BigInteger prefix, int hostBits) {
        static Network parse(String text) {
            String[] parts = text.split("/");
            try {
                // A literal, which is not looked up.
                byte[] bytes = InetAddress.getByName(parts[0]).getAddress();
                int hostBits = Byte.SIZE * bytes.length - Integer.parseInt(parts[1]);
                return new Network(bytes.length, new BigInteger(1, bytes).shiftRight(hostBits), hostBits);
            } catch (UnknownHostException e) {
                throw new IllegalArgumentException("not a network: " + text, e);
            }
        }

        boolean contains(byte[] bytes) {
            return bytes.length == length
                    && new BigInteger(1, bytes).shiftRight(hostBits).equals(prefix);
        }
    }
}
