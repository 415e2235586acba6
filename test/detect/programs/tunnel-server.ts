/** The other end of the tunnel: a name server that answers each name with the hash of the bytes in it and more bytes, in TXT. */
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { decodeMessage } from '../../../src/dns/message.ts';
import { encodeMessage, labels, string } from '../../unit/dns-encode.ts';
import { bytesOf } from './tunnel-message.ts';

const [address = '', domain = ''] = process.argv.slice(2);
const DOWN_BYTES = 90;

const socket = createSocket('udp4');
socket.on('message', (bytes, from) => {
  const { id, questions } = decodeMessage(bytes, bytes.length);
  const question = questions[0];
  if (question === undefined) return;
  const carried = question.name.endsWith(`.${domain}`) ? bytesOf(question.name, domain) : Buffer.alloc(0);
  const hash = createHash('sha256').update(carried).digest('hex');
  const name = labels(question.name);
  const rdata = [string(hash), string(randomBytes(DOWN_BYTES).toString('hex'))];
  const answers = [{ name, type: question.type, class: 1, ttl: 0, rdata }];
  const parts = {
    questions: [{ name, type: question.type, class: 1 }],
    answers,
    authorities: [],
    additionals: [],
  };
  socket.send(encodeMessage({ id, flags: 0x8580, ...parts }), from.port, from.address);
});
socket.bind(53, address, () => process.stdout.write('ready\n'));
