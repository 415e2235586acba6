/** Which rules and which presentation form each type's RDATA has. */
import { ByteWriter } from '../lib/byte-writer.ts';
import { CLASSES } from '../tables/classes.ts';
import { RR_TYPES } from '../tables/rrtypes.ts';
import { A, AAAA, MX, NAME, NAMES, type RdataForm, SOA, SRV, STRINGS } from './rdata-common.ts';
import { caa, hinfo, naptr, type Render, uri } from './rdata-rare.ts';
import { dnskey, ds, fingerprint, nsec, nsec3, nsec3param, rrsig, tlsa } from './rdata-security.ts';
import { svcb } from './rdata-svcb.ts';
import { writeUnknown } from './text.ts';
import type { Wire } from './wire.ts';

/** What is rendered for the check alone. Not state: it is written before it is read. */
const scratch = new ByteWriter(4096);

/** Of a type whose rules are checked while it is rendered. */
function rendered(render: Render): RdataForm {
  return {
    check(wire, start, end) {
      scratch.position = 0;
      return render(wire, scratch, start, end);
    },
    write: render,
  };
}

const DS = rendered(ds);
const DNSKEY = rendered(dnskey);
const TLSA = rendered(tlsa);
const SVCB = rendered(svcb);

/** Types whose RDATA means the same in every class (RFC 3597 section 5 sets the others apart). */
const FORMS = new Map<number, RdataForm>([
  [RR_TYPES.NS, NAME],
  [RR_TYPES.MD, NAME],
  [RR_TYPES.MF, NAME],
  [RR_TYPES.CNAME, NAME],
  [RR_TYPES.SOA, SOA],
  [RR_TYPES.MB, NAME],
  [RR_TYPES.MG, NAME],
  [RR_TYPES.MR, NAME],
  [RR_TYPES.PTR, NAME],
  [RR_TYPES.HINFO, rendered(hinfo)],
  [RR_TYPES.MINFO, NAMES],
  [RR_TYPES.MX, MX],
  [RR_TYPES.TXT, STRINGS],
  [RR_TYPES.RP, NAMES],
  [RR_TYPES.AFSDB, MX],
  [RR_TYPES.RT, MX],
  [RR_TYPES.NAPTR, rendered(naptr)],
  [RR_TYPES.DNAME, NAME],
  [RR_TYPES.DS, DS],
  [RR_TYPES.SSHFP, rendered(fingerprint)],
  [RR_TYPES.RRSIG, rendered(rrsig)],
  [RR_TYPES.NSEC, rendered(nsec)],
  [RR_TYPES.DNSKEY, DNSKEY],
  [RR_TYPES.NSEC3, rendered(nsec3)],
  [RR_TYPES.NSEC3PARAM, rendered(nsec3param)],
  [RR_TYPES.TLSA, TLSA],
  [RR_TYPES.SMIMEA, TLSA],
  [RR_TYPES.CDS, DS],
  [RR_TYPES.CDNSKEY, DNSKEY],
  [RR_TYPES.SPF, STRINGS],
  [RR_TYPES.URI, rendered(uri)],
  [RR_TYPES.CAA, rendered(caa)],
  [RR_TYPES.DLV, DS],
]);

/** Types defined for class IN only. */
const INTERNET_FORMS = new Map<number, RdataForm>([
  [RR_TYPES.A, A],
  [RR_TYPES.AAAA, AAAA],
  [RR_TYPES.SRV, SRV],
  [RR_TYPES.KX, MX],
  [RR_TYPES.SVCB, SVCB],
  [RR_TYPES.HTTPS, SVCB],
]);

/** Prerequisites and deletions of dynamic update have no RDATA (RFC 2136 sections 2.4 and 2.5). */
const EMPTY: RdataForm = { check: () => true, write: () => true };

/** Of types that are not known, or are of another class (RFC 3597 section 5). */
const UNKNOWN: RdataForm = {
  check: () => true,
  write(wire, out, start, end) {
    writeUnknown(out, wire.bytes, start, end);
    return true;
  },
};

/** The top bit of the class is not looked at: multicast DNS uses it (RFC 6762 section 10.2). */
function formOf(type: number, recordClass: number, size: number): RdataForm {
  const internet = (recordClass & 0x7fff) === CLASSES.IN;
  if (internet && type === RR_TYPES.A) return A;
  if (internet && type === RR_TYPES.AAAA) return AAAA;
  if (size === 0 && (recordClass === CLASSES.ANY || recordClass === CLASSES.NONE)) return EMPTY;
  return FORMS.get(type) ?? (internet ? INTERNET_FORMS.get(type) : undefined) ?? UNKNOWN;
}

/** Whether RDATA at start..end keeps the rules of its type; if not, that is noted. */
export function checkRdata(
  wire: Wire,
  type: number,
  recordClass: number,
  start: number,
  end: number,
): boolean {
  return formOf(type, recordClass, end - start).check(wire, start, end);
}

/** Writes RDATA that was checked: names without the final dot, hex in lower case; RFC 3597 form where the type is not known. */
export function writeRdata(
  wire: Wire,
  out: ByteWriter,
  type: number,
  recordClass: number,
  start: number,
  end: number,
): void {
  wire.refill();
  const from = out.position;
  if (formOf(type, recordClass, end - start).write(wire, out, start, end)) return;
  // Only if the bytes have changed since.
  out.position = from;
  writeUnknown(out, wire.bytes, start, end);
}
