// A person at the page of CAAL, in a real Chromium whose microphone plays a recording.
//
// usage: node talk.mjs URL RECORDING.wav [barge=CLIP.wav] [cut] [reload] — prints one JSON line with what was
// seen and heard: {"greeting": [captions], "answered": [captions], "first_sound_ms": n, "headline": text,
//   "sound": {...}, "barge": {"silent_after_ms": n, "captions": [captions]},
//   "cut": {"said": text, "captions": [captions]}, "after_reload": [captions], "complaints": [console errors]}
// barge: says CLIP.wav into a long answer. cut: prints the line "cut", and "mend" when the page has said that the
// line is gone; each time it waits until it reads a line.
// Exit code 1 with a reason on standard error where the conversation did not come about.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { heard as heardOn, open, patiently } from './chromium.mjs';

const [url, recording, ...wishes] = process.argv.slice(2);
const { browser, page, complaints } = await open(recording);
const heard = () => heardOn(page);

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

const captions = () =>
  page.$$eval('#captions > li', (items) =>
    items.map((item) => ({ kind: item.className, text: item.querySelector('.text').textContent.trim() })),
  );

const until = patiently(async () => {
  const link = await page.textContent('#link').catch(() => '');
  const notices = await page.textContent('#notices').catch(() => '');
  return `${link}; ${notices}; ${complaints.join('; ')}`;
});

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

/** Without a network for some seconds: what the page says then, and the conversation afterwards. */
async function cut() {
  const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const ask = async (what) => {
    process.stdout.write(`${what}\n`);
    await input.next();
  };
  const noise = complaints.length;
  const before = (await captions()).length;
  await ask('cut');
  await page.context().setOffline(true);
  const headline = () => page.textContent('#headline');
  const said = await until(60, headline, (text) => text.includes('Connection lost'), 'words about the lost line');
  await new Promise((resolve) => setTimeout(resolve, 3000));
  await ask('mend');
  await page.context().setOffline(false);
  process.stdin.destroy();
  await type('Say hello.');
  await until(180, captions, (c) => c.length >= before + 2, 'an answer after the cut');
  complaints.length = noise; // the console tells of the network that was gone
  return { said, captions: await captions() };
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
if (wishes.includes('cut')) result.cut = await cut();
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
