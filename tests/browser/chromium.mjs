// A real Chromium whose microphone plays a recording, and what arrives in it: for the persons beside this file.
import { existsSync } from 'node:fs';
import process from 'node:process';
import { chromium } from 'playwright-core';

/** Ends the person with a reason. */
export function fail(why) {
  process.stderr.write(`${why}\n`);
  process.exit(1);
}

/** For a page before its own scripts: every peer connection is kept, so that what arrives can be measured. */
export function keepConnections() {
  const Native = window.RTCPeerConnection;
  window.connections = [];
  window.RTCPeerConnection = class extends Native {
    constructor(...args) {
      super(...args);
      window.connections.push(this);
    }
  };
}

/** A page in a new browser; what its console complains of is collected. */
export async function open(recording) {
  const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
  const executablePath = places.find(existsSync);
  if (!executablePath) fail('there is no Chromium; install the package chromium');
  const browser = await chromium.launch({
    executablePath,
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
  await page.addInitScript(keepConnections);
  return { browser, page, complaints };
}

/** Energy of all sound that has arrived, and its packets. */
export const heard = (page) =>
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

/** A function that waits for `done(…)` of what `look` gives, at most `seconds`; `around` tells more in its reason. */
export const patiently = (around) => async (seconds, look, done, what) => {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const seen = await look();
    if (done(seen)) return seen;
    if (Date.now() > end) fail(`${what}: not seen in ${seconds} s; last ${JSON.stringify(seen)}; ${await around()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};
