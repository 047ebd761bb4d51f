// A person at the page of CAAL, in a real Chromium whose microphone plays a recording.
//
// usage: node talk.mjs URL RECORDING.wav [barge=CLIP.wav] [reload] — prints one JSON line with what was
// seen and heard: {"greeting": [captions], "answered": [captions], "first_sound_ms": n, "headline": text,
//   "sound": {...}, "barge": {"silent_after_ms": n, "captions": [captions]},
//   "after_reload": [captions], "complaints": [console errors]}
// barge: says CLIP.wav into a long answer.
// Exit code 1 with a reason on standard error where the conversation did not come about.
import { existsSync, readFileSync } from 'node:fs';
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

// What is said into an answer is mixed into the microphone: the recording cannot know when that is.
if (wishes.some((wish) => wish.startsWith('barge='))) {
  await page.addInitScript(() => {
    const native = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      const stream = await native(wanted);
      const context = new AudioContext();
      const mixed = context.createMediaStreamDestination();
      context.createMediaStreamSource(stream).connect(mixed);
      window.interrupt = async (base64) => {
        const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
        const source = context.createBufferSource();
        source.buffer = await context.decodeAudioData(bytes.buffer);
        source.connect(mixed);
        source.start();
      };
      return mixed.stream;
    };
  });
}

/** Energy of all sound that has arrived, and its packets. */
const heard = () =>
  page.evaluate(async () => {
    const sum = { energy: 0, packets: 0, lost: 0, level: 0 };
    for (const connection of window.connections) {
      if (connection.connectionState === 'closed') continue;
      for (const stat of (await connection.getStats()).values()) {
        if (stat.type === 'inbound-rtp' && stat.kind === 'audio') {
          sum.energy += stat.totalAudioEnergy ?? 0;
          sum.level = Math.max(sum.level, stat.audioLevel ?? 0);
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

/** Types a message as soon as there is a connection. */
async function type(text) {
  await until(60, () => page.textContent('#link'), (link) => link === 'Connected', 'the room');
  await until(30, () => page.isEnabled('#message'), Boolean, 'a place to type');
  await page.fill('#message', text);
  await page.press('#message', 'Enter');
}

/** Says `clip` into a long answer: how long that is still heard, in milliseconds. */
async function barge(clip) {
  await until(60, heard, (h) => h.level < 1e-3, 'the end of the answer');
  await type('Tell me a long story about a ship and the sea.');
  await until(120, heard, (h) => h.level > 0.01, 'the story');
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await page.evaluate((base64) => window.interrupt(base64), readFileSync(clip).toString('base64'));
  const began = Date.now();
  let silent;
  await until(
    20,
    heard,
    (h) => {
      if (h.level > 1e-3) silent = undefined;
      else silent ??= Date.now();
      return silent && Date.now() - silent > 500;
    },
    'silence after the interruption',
  );
  const asked = (list) => list.filter((c) => c.text.toLowerCase().includes('what time is it')).length;
  const seen = await until(120, captions, (list) => asked(list) >= 2, 'the interruption among the captions');
  return { silent_after_ms: silent - began, captions: seen };
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
for (const wish of wishes) {
  if (wish.startsWith('barge=')) result.barge = await barge(wish.slice('barge='.length));
}
if (wishes.includes('reload')) {
  // The same conversation goes on: no second greeting; what is typed is answered.
  const before = complaints.length;
  await page.reload();
  complaints.length = before; // of channels that closed with the old page
  await page.click('#talk');
  await type('Say hello.');
  await until(180, heard, (h) => h.energy > 1e-4, 'an answer to what was typed');
  result.after_reload = await captions();
}
result.complaints = complaints;
process.stdout.write(`${JSON.stringify(result)}\n`);
await browser.close();
