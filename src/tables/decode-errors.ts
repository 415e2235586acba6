/**
 * What can be wrong with the bytes of a DNS message: the words of `DecodeError.reason`. They become metric and log
 * attributes, so they are few and fixed.
 */
export const DECODE_ERRORS = {
  cut: 'The copy ends here; the message did not (copy limit of the capture).',
  short_header: 'Fewer than the 12 bytes of a header (RFC 1035 section 4.1.1). Unread header numbers are -1.',
  short_question: 'The message ends inside a question.',
  short_record: 'The message ends inside a resource record.',
  name_overrun: 'A name goes on after the end of the message or of its RDATA.',
  name_pointer: 'A compression pointer does not point back to an earlier name (RFC 1035 section 4.1.4).',
  name_label_type:
    'A label starts with the bits 01 or 10 (RFC 6891 section 5 withdrew the extended label types).',
  name_too_long: 'A name has more than 255 octets (RFC 1035 section 2.3.4).',
  name_budget: 'Names expand to more octets than is decoded of one message: a compression bomb.',
  record_limit: 'More questions and records than are decoded of one message.',
  rdata_limit:
    'More parts of RDATA (strings, types of a bit map, parameters) than are rendered of one message.',
  rdata_short: 'RDATA ends inside a field of its type.',
  rdata_trailing: 'RDATA goes on after the last field of its type.',
  rdata_value: 'A field of RDATA has a value its type forbids.',
  opt_duplicate: 'More than one OPT record (RFC 6891 section 6.1.1).',
  opt_misplaced: 'An OPT record outside the additional section, or one whose owner is not the root.',
  opt_option: 'An EDNS option is longer than the OPT record, or its value breaks its definition.',
  trailing_bytes: 'Bytes after the last record that the header counts.',
} as const;

export type DecodeReason = keyof typeof DECODE_ERRORS;
