import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Hashtable;
import javax.naming.NamingException;
import javax.naming.directory.InitialDirContext;

/**
 * Resolves each name of the command line: "inet" with InetAddress (the C library's resolver inside the JVM), "jndi" with Java's own DNS
 * client, which takes its server from resolv.conf.
 */
final class Resolve {
    public static void main(String[] arguments) throws NamingException {
        for (int i = 1; i < arguments.length; i++) {
            if (arguments[0].equals("inet")) {
                inet(arguments[i]);
            } else {
                jndi(arguments[i]);
            }
        }
    }

    private static void inet(String name) {
        try {
            for (InetAddress address : InetAddress.getAllByName(name)) {
                System.out.println(name + " " + address.getHostAddress());
            }
        } catch (UnknownHostException unknown) {
            System.out.println(name + " unknown");
        }
    }

    private static void jndi(String name) throws NamingException {
        Hashtable<String, String> environment = new Hashtable<>();
        environment.put("java.naming.factory.initial", "com.sun.jndi.dns.DnsContextFactory");
        environment.put("java.naming.provider.url", "dns:");
        InitialDirContext context = new InitialDirContext(environment);
        try {
            System.out.println(name + " " + context.getAttributes(name + ".", new String[] {"A"}));
        } catch (javax.naming.NameNotFoundException unknown) {
            System.out.println(name + " unknown");
        } finally {
            context.close();
        }
    }
}
