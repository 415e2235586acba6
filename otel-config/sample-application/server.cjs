// A service that answers, and that calls another one if CALL_URL is set: once per request to /pay, and every
// CALL_EVERY_MS milliseconds on its own. No connection is kept, so every call resolves the name.
const http = require('node:http');

const { PORT = '8080', CALL_URL, CALL_EVERY_MS } = process.env;

function call(done) {
  http
    .get(CALL_URL, { agent: false }, (response) => {
      response.resume();
      response.on('end', () => done(response.statusCode));
    })
    .on('error', (error) => done(502, error.message));
}

const server = http.createServer((request, response) => {
  const answer = (status, text = 'ok') => {
    response.writeHead(status, { 'content-type': 'text/plain' });
    response.end(`${text}\n`);
  };
  if (request.url === '/pay' && CALL_URL !== undefined) call(answer);
  else answer(200);
});

server.listen(Number(PORT), process.env.HOST ?? '0.0.0.0');
if (CALL_URL !== undefined && CALL_EVERY_MS !== undefined) {
  setInterval(
    () => http.get(`http://localhost:${PORT}/pay`, { agent: false }, (r) => r.resume()).on('error', () => {}),
    Number(CALL_EVERY_MS),
  );
}
