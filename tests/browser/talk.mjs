// A person at the page of CAAL, in a real Chromium whose microphone plays a recording.
//
// usage: node talk.mjs URL RECORDING.wav [reload] — prints one JSON line with what was seen and heard:
//   {"user": [captions], "assistant": [captions], "states": [...], "energy": n, "first_sound_ms": n,
//    "console": [errors], "after_reload": {...}}
// Exit code 1 with a reason on standard error where the conversation did not come about.
import { existsSync } from 'node:fs';
import process from 'node:process';
import { chromium } from 'playwright-core';

const [url, recording, ...wishes] = process.argv.slice(2);
const browserFile = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
if (!browserFile) fail('there is no Chromium; install the package chromium');

function fail(why) {
  process.stderr.write(`${why}\n`);
  process.exit(1);
}

const browser = await chromium.launch({
  executablePath: browserFile,
  args: [
    '--no-sandbox',
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
    `--use-file-for-fake-audio-capture=${recording}%noloop`,
    '--autoplay-policy=no-user-gesture-required',
    '--allow-loopback-in-peer-connection',
  ],
});
const page = await browser.newPage();
const complaints = [];
page.on('console', (message) => {
  if (message.type() === 'error') complaints.push(message.text());
});
page.on('pageerror', (error) => complaints.push(String(error)));
// Every peer connection is kept, so that what arrives can be measured.
await page.addInitScript(() => {
  const Native = window.RTCPeerConnection;
  window.connections = [];
  window.RTCPeerConnection = class extends Native {
    constructor(...args) {
      super(...args);
      window.connections.push(this);
    }
  };
});

/** Energy of all sound that has arrived, and its packets. */
const heard = () =>
  page.evaluate(async () => {
    const sum = { energy: 0, packets: 0, lost: 0 };
    for (const connection of window.connections) {
      if (connection.connectionState === 'closed') continue;
      for (const stat of (await connection.getStats()).values()) {
        if (stat.type === 'inbound-rtp' && stat.kind === 'audio') {
          sum.energy += stat.totalAudioEnergy ?? 0;
          sum.packets += stat.packetsReceived ?? 0;
          sum.lost += stat.packetsLost ?? 0;
        }
      }
    }
    return sum;
  });

const captions = () =>
  page.$$eval('#captions li', (items) => items.map((item) => ({ kind: item.className, text: item.textContent.trim() })));

/** Waits for `done(…)` of what `look` gives, at most `seconds`. */
async function until(seconds, look, done, what) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const seen = await look();
    if (done(seen)) return seen;
    if (Date.now() > end) {
      const link = await page.textContent('#link').catch(() => '');
      const notices = await page.textContent('#notices').catch(() => '');
      fail(`${what}: not seen in ${seconds} s; last ${JSON.stringify(seen)}; ${link}; ${notices}; ${complaints.join('; ')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function talk() {
  const began = Date.now();
  await page.click('#talk');
  const first = await until(60, heard, (h) => h.energy > 1e-4, 'the greeting');
  const firstSound = Date.now() - began;
  return { firstSound, first };
}

await page.goto(url);
const { firstSound } = await talk();
const greeting = await until(15, captions, (c) => c.length > 0, 'a caption of the greeting');
const answered = await until(180, captions, (c) => c.length >= 3, 'captions of question and answer');
await until(90, heard, (h) => h.energy > 2e-3, 'the sound of the answer');
await new Promise((resolve) => setTimeout(resolve, 3000));
const result = {
  greeting,
  answered: await captions(),
  first_sound_ms: firstSound,
  headline: await page.textContent('#headline'),
  sound: await heard(),
};
if (wishes.includes('reload')) {
  // The same conversation goes on: no second greeting; what is typed is answered.
  await page.reload();
  await page.click('#talk');
  await until(60, () => page.textContent('#link'), (text) => text === 'Connected', 'the room after a reload');
  await until(30, () => page.isEnabled('#message'), Boolean, 'a place to type');
  await page.fill('#message', 'Say hello.');
  await page.press('#message', 'Enter');
  await until(180, heard, (h) => h.energy > 1e-4, 'an answer to what was typed');
  result.after_reload = await captions();
}
result.complaints = complaints;
process.stdout.write(`${JSON.stringify(result)}\n`);
await browser.close();
