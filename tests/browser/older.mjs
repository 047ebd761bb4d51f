// A person with the livekit-client that CAAL's own web client ships (2.15.15) in a page of its own, in a real
// Chromium whose microphone plays a recording.
//
// usage: node older.mjs URL RECORDING.wav — URL is that of CAAL's page, which gives the token. Prints one JSON line:
//   {"version": text, "doors": [paths of WebSockets], "captions": [{"mine": bool, "final": bool, "text"}],
//    "energy": of all that was heard, "complaints": [console errors]}
// Exit code 1 with a reason on standard error where the conversation did not come about.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import process from 'node:process';
import { heard, open, patiently } from './chromium.mjs';

const [url, recording] = process.argv.slice(2);
const client = new URL('./node_modules/livekit-client-2.15/dist/livekit-client.umd.js', import.meta.url);
const files = { '/': ['text/html', '<!doctype html><link rel="icon" href="data:,"><script src="client.js"></script>'], '/client.js': ['text/javascript', readFileSync(client)] };
const server = createServer((request, response) => {
  const [type, body] = files[request.url] ?? [undefined, ''];
  response.writeHead(type ? 200 : 404, { 'content-type': type ?? 'text/plain' }).end(body);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

const details = await fetch(new URL('/api/connection-details', url), { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } });
const invitation = await details.json();

const { browser, page, complaints } = await open(recording);
const doors = [];
page.on('websocket', (socket) => doors.push(new URL(socket.url()).pathname));
await page.goto(`http://localhost:${server.address().port}/`);
const version = await page.evaluate(async ({ serverUrl, participantToken }) => {
  const { Room, RoomEvent, version } = window.LivekitClient;
  window.said = [];
  const room = new Room();
  room.registerTextStreamHandler('lk.transcription', async (reader, { identity }) => {
    const text = await reader.readAll();
    const final = reader.info.attributes['lk.transcription_final'] === 'true';
    window.said.push({ mine: identity === room.localParticipant.identity, final, text });
  });
  room.on(RoomEvent.TrackSubscribed, (track) => document.body.append(track.attach()));
  await room.connect(serverUrl, participantToken);
  await room.localParticipant.setMicrophoneEnabled(true);
  return version;
}, invitation);

const until = patiently(async () => complaints.join('; '));
const said = () => page.evaluate(() => window.said);
const final = (mine) => (list) => list.filter((c) => c.final && c.mine === mine).length;
await until(60, said, (list) => final(false)(list) >= 1, 'the greeting');
const greeted = (await heard(page)).energy;
await until(180, said, (list) => final(true)(list) >= 1 && final(false)(list) >= 2, 'question and answer');
const { energy } = await until(60, () => heard(page), (h) => h.energy > greeted + 1e-4, 'the sound of the answer');
process.stdout.write(`${JSON.stringify({ version, doors, captions: await said(), greeted, energy, complaints })}\n`);
await browser.close();
server.close();
