/** The end of `whodns replay --help`: what is read of capture files. */
import { READ_LINK_TYPES } from './link-layer.ts';
import { TUNNEL_PORTS } from './tunnels.ts';

export const CAPTURE_HELP = `
Link types read (https://www.tcpdump.org/linktypes.html):
${wrapped(READ_LINK_TYPES)}
Behind them: VLAN tags, LLC and SNAP, PPPoE, MPLS and its pseudowires, 802.1ah, NSH.
Tunnels: IP in IP, 6in4, GRE, ERSPAN, EtherIP, MPLS in IP; by UDP port VXLAN, Geneve, GTP-U, L2TP, Teredo, GRE, MPLS, TZSP:
${wrapped(TUNNEL_PORTS)}

  ssh host tcpdump -U -w - port 53 | whodns replay -        each record when its answer is there
`;

/** Lines of at most 100 characters. */
function wrapped(values: readonly number[]): string {
  return values
    .join(' ')
    .replace(/(.{1,96})(\s|$)/g, '  $1\n')
    .trimEnd();
}
