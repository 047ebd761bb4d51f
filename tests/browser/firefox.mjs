// A person at the page of CAAL, in a real Firefox that speaks a recording.
//
// usage: node firefox.mjs URL RECORDING.wav — prints one JSON line with what was seen and heard:
//   {"version": text, "greeting_ms": n, "captions": [{"kind", "text"}],
//    "sound": {"energy", "packets", "lost", "sent": packets}, "notices": text, "after_reload": [captions],
//    "complaints": [console errors]}
// Exit code 1 with a reason on standard error where the conversation did not come about.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import puppeteer from 'puppeteer-core';
import { fail, keepConnections, patiently } from './chromium.mjs';

const [url, recording] = process.argv.slice(2);
const places = ['/usr/bin/firefox-esr', '/usr/bin/firefox'];
const executablePath = places.find(existsSync);
if (!executablePath) fail('there is no Firefox; install the package firefox-esr');

// Firefox has no microphone that plays a file: a sound server of our own has one, and a loudspeaker.
const home = mkdtempSync(join(tmpdir(), 'caal-firefox-'));
mkdirSync(join(home, 'run'), { mode: 0o700 });
const env = { ...process.env, HOME: home, XDG_RUNTIME_DIR: join(home, 'run') };
delete env.PULSE_SERVER;
const quiet = { env, stdio: 'ignore' };
const load = (module) => ['--load', module];
const sounds = spawn('pulseaudio', [
  ...['-n', '--daemonize=no', '--exit-idle-time=-1', '--use-pid-file=no', '--disable-shm'],
  ...load('module-native-protocol-unix'),
  ...load('module-null-sink sink_name=heard'),
  ...load('module-null-sink sink_name=said'),
  ...load('module-remap-source master=said.monitor source_name=microphone'),
], quiet);
sounds.on('error', () => fail('there is no PulseAudio; install the packages pulseaudio and pulseaudio-utils'));
// Whatever the end.
process.on('exit', () => {
  sounds.kill();
  rmSync(home, { recursive: true, force: true });
});
const run = (program, ...words) =>
  new Promise((resolve, reject) => {
    const child = spawn(program, words, quiet);
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${program} ended with ${code}`))));
  });
for (let tries = 0; ; tries++) {
  const there = await run('pactl', 'set-default-source', 'microphone').then(() => true, () => false);
  if (there) break;
  if (tries > 100) fail('PulseAudio does not start');
  await new Promise((resolve) => setTimeout(resolve, 100));
}
await run('pactl', 'set-default-sink', 'heard');
const speak = () => run('paplay', '--device=said', recording);

const browser = await puppeteer.launch({
  browser: 'firefox',
  executablePath,
  headless: true,
  env,
  extraPrefsFirefox: {
    'media.navigator.permission.disabled': true,
    'media.autoplay.default': 0,
    'media.autoplay.blocking_policy': 0,
    'media.peerconnection.ice.loopback': true,
  },
});
const page = await browser.newPage();
const complaints = [];
page.on('console', (message) => {
  if (message.type() === 'error') complaints.push(message.text());
});
page.on('pageerror', (error) => complaints.push(String(error)));
await page.evaluateOnNewDocument(keepConnections);

const sound = () =>
  page.evaluate(async () => {
    const sum = { energy: 0, packets: 0, lost: 0, sent: 0 };
    for (const connection of window.connections) {
      if (connection.connectionState === 'closed') continue;
      for (const stat of (await connection.getStats()).values()) {
        if (stat.kind !== 'audio') continue;
        if (stat.type === 'outbound-rtp') sum.sent += stat.packetsSent ?? 0;
        if (stat.type !== 'inbound-rtp') continue;
        sum.energy += stat.totalAudioEnergy ?? 0;
        sum.packets += stat.packetsReceived ?? 0;
        sum.lost += stat.packetsLost ?? 0;
      }
    }
    return sum;
  });
const captions = () =>
  page.$$eval('#captions > li', (items) =>
    items.map((item) => ({ kind: item.className, text: item.querySelector('.text').textContent.trim() })),
  );
const text = (place) => page.$eval(place, (element) => element.textContent).catch(() => '');
const until = patiently(async () => `${await text('#link')}; ${await text('#notices')}; ${complaints.join('; ')}`);

await page.goto(new URL('#/', url).href);
const began = Date.now();
await page.locator('#talk').click();
await until(90, sound, (heard) => heard.energy > 1e-4, 'the greeting');
const greeting_ms = Date.now() - began;
await until(60, captions, (list) => list.length > 0, 'a caption of the greeting');
await new Promise((resolve) => setTimeout(resolve, 4000)); // it has been said
await speak();
await until(180, captions, (list) => list.length >= 3, 'captions of question and answer');
await until(90, sound, (heard) => heard.energy > 2e-3, 'the sound of the answer');
const seen = { version: await browser.version(), greeting_ms, captions: await captions(), sound: await sound(), notices: await text('#notices') };
// The same conversation goes on after a reload; what is typed is answered.
const before = complaints.length;
await page.reload();
complaints.length = before; // of what the old page had open
await page.locator('#talk').click();
await until(60, () => text('#link'), (link) => link === 'Connected', 'the room');
await until(30, () => page.$eval('#message', (field) => !field.disabled), Boolean, 'a place to type');
await page.type('#message', 'Say hello.');
await page.keyboard.press('Enter');
await until(180, sound, (heard) => heard.energy > 1e-4, 'an answer to what was typed');
seen.after_reload = await captions();
seen.complaints = complaints;
process.stdout.write(`${JSON.stringify(seen)}\n`);
await browser.close();
sounds.kill();
