// A person who opens the page of a CAAL with a key, in a real Chromium: shows a wrong key, then the right one,
// talks, reloads, and logs out.
//
// usage: node login.mjs URL KEY — prints one JSON line with what was seen; exit code 1 with a reason on standard
// error where something never came.
import { existsSync } from 'node:fs';
import process from 'node:process';
import { chromium } from 'playwright-core';

const [url, key] = process.argv.slice(2);
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
if (!executablePath) {
  process.stderr.write('there is no Chromium; install the package chromium\n');
  process.exit(1);
}
const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
});
const page = await browser.newPage();
const seen = { complaints: [] };
page.on('pageerror', (error) => seen.complaints.push(String(error)));
page.on('console', (message) => {
  // A refused key is an answer of 401, and Chromium says so.
  if (message.type() === 'error' && !message.text().includes('401')) seen.complaints.push(message.text());
});

try {
  await page.goto(url);
  await page.waitForSelector('.login[open]');
  seen.focused = await page.evaluate(() => document.activeElement?.getAttribute('name'));
  await page.fill('.login input', 'this is not the key');
  await page.press('.login input', 'Enter');
  await page.waitForSelector('.login .problem:not(:empty)');
  seen.refused = await page.textContent('.login .problem');
  await page.fill('.login input', key);
  await page.click('.login button');
  await page.waitForSelector('.login', { state: 'detached' });
  seen.scripts_see = await page.evaluate(() => document.cookie);
  const cookies = await page.context().cookies();
  seen.cookies = cookies.map(({ name, httpOnly, sameSite }) => ({ name, httpOnly, sameSite }));
  await page.click('#talk');
  await page.waitForFunction(() => document.querySelector('#link')?.textContent === 'Connected', undefined, { timeout: 60_000 });
  await page.reload();
  await page.waitForSelector('#logout', { state: 'attached' });
  seen.asked_again = (await page.$('.login')) !== null;
  // The session goes while the page stands: the next wish asks for the key.
  await page.context().clearCookies();
  await page.click('#talk');
  await page.waitForSelector('.login[open]');
  await page.fill('.login input', key);
  await page.press('.login input', 'Enter');
  await page.waitForFunction(() => document.querySelector('#link')?.textContent === 'Connected', undefined, { timeout: 60_000 });
  await page.evaluate(() => document.querySelector('#logout').click());
  await page.waitForSelector('.login[open]');
} catch (error) {
  const at = await page.textContent('body').catch(() => '');
  process.stderr.write(`${error}\n${JSON.stringify(seen)}\n${at.slice(0, 2000)}\n`);
  process.exit(1);
}
process.stdout.write(`${JSON.stringify(seen)}\n`);
await browser.close();
