// A person who sets CAAL up: the first-run wizard and the settings to the end, in a real Chromium, with
// axe-core looking at every view in light and dark.
//
// usage: node panel.mjs URL WIDTHxHEIGHT MICROPHONE.wav TOKEN [key=KEY] [try] [clear] [talk] [shots=FOLDER]
// Prints one JSON line with what was seen. TOKEN is the secret that is typed; a Home Assistant and an Ollama
// of this script's own take it. key: of the
// server, which asks for it. try: hears the voice and tries the wake word. clear: takes TOKEN back in the end. talk: also has a conversation, and looks for it in the log.
// Exit code 1 with a reason on standard error where a step did not come about.
import { existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import process from 'node:process';
import { chromium } from 'playwright-core';

const [url, size, microphone, token, ...wishes] = process.argv.slice(2);
const [width, height] = size.split('x').map(Number);
const tries = wishes.includes('try');
const shots = wishes.find((wish) => wish.startsWith('shots='))?.slice('shots='.length);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const browserFile = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
if (!browserFile) fail('there is no Chromium; install the package chromium');

function fail(why) {
  process.stderr.write(`${why}\n`);
  process.exit(1);
}

function check(right, why) {
  if (!right) throw new Error(why);
}

/** What stands beside CAAL in the house. */
function neighbour() {
  const server = http.createServer((request, answer) => {
    const known = request.headers.authorization === `Bearer ${token}`;
    const bodies = {
      '/api/tags': { models: [{ name: 'first:1b' }, { name: 'second:2b' }] },
      '/api/states': [{}, {}, {}],
    };
    const body = bodies[request.url];
    const status = body === undefined ? 404 : request.url === '/api/states' && !known ? 401 : 200;
    answer.writeHead(status, { 'content-type': 'application/json' });
    answer.end(JSON.stringify(body ?? {}));
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve({ server, address: `http://127.0.0.1:${server.address().port}` }));
  });
}

const beside = await neighbour();
const browser = await chromium.launch({
  executablePath: browserFile,
  args: [
    '--no-sandbox',
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
    `--use-file-for-fake-audio-capture=${microphone}`,
    '--autoplay-policy=no-user-gesture-required',
    '--allow-loopback-in-peer-connection',
  ],
});
const page = await browser.newPage({ viewport: { width, height } });
page.setDefaultTimeout(30_000);
const complaints = [];
page.on('console', (message) => {
  // A refusal that the page shows is in the console, too.
  if (message.type() === 'error' && !message.text().includes('status of 4')) complaints.push(message.text());
});
page.on('pageerror', (error) => complaints.push(String(error)));

const faults = [];
const looked = [];

/** Has axe look at what is shown, in light and dark, and the width held against the screen's. */
async function look(name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    // By way of the debugger, because the page's policy allows no script from elsewhere.
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    for (const { id, impact, nodes } of found.violations) {
      if (impact !== 'serious' && impact !== 'critical') continue;
      for (const node of nodes) faults.push(`${name}, ${colorScheme}: ${id} (${impact}) at ${node.target.join(' ')}`);
    }
    looked.push(`${name} ${colorScheme}`);
    if (shots) await page.screenshot({ path: `${shots}/${width}-${colorScheme}-${name}.png`, fullPage: true });
  }
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (over > 0) faults.push(`${name}: ${over} px wider than the screen`);
}

const text = (selector) => page.locator(selector).innerText();
const focused = () => page.evaluate(() => document.activeElement?.id ?? '');
const said = (selector, words) => page.locator(selector, { hasText: words }).first().waitFor();

/** Presses what is called so; other views have buttons of the same name, out of sight. */
const press = (words) => page.locator('button:visible', { hasText: words }).first().click();

/** From one step of the wizard to the next, with the keyboard. */
async function next(title) {
  await page.focus('#setup-next');
  await page.keyboard.press('Enter');
  await said('#setup-title', title);
  check((await focused()) === 'setup-title', `the focus is on the title of "${title}"`);
}

/** Shows the key that the server wants: first a wrong one. */
async function logIn(key) {
  await page.waitForSelector('dialog input');
  await look('login');
  await page.fill('dialog input', 'not it');
  await page.keyboard.press('Enter');
  await said('dialog [role=alert]', /./);
  await page.fill('dialog input', key);
  await page.keyboard.press('Enter');
  await page.waitForSelector('dialog', { state: 'detached' });
}

async function wizard() {
  await page.goto(url);
  const key = wishes.find((wish) => wish.startsWith('key='));
  if (key) await logIn(key.slice('key='.length));
  await said('#setup-title', 'Who answers');
  await page.waitForSelector('#setup-llm_provider-doc', { state: 'attached' });
  await look('setup-provider');
  // Chosen with the arrow keys, as radios are.
  await page.locator('#setup-provider input[value=auto]').focus();
  await page.keyboard.press('ArrowDown');
  check(await page.isChecked('#setup-provider input[value=ollama]'), 'arrows choose');
  await page.fill('#setup-ollama_host', 'ftp://nowhere');
  await page.focus('#setup-next');
  await page.keyboard.press('Enter');
  await said('#setup-ollama_host-problem', 'It must be a URL');
  check((await focused()) === 'setup-ollama_host', 'the focus is where the problem is');
  check((await page.getAttribute('#setup-ollama_host', 'aria-invalid')) === 'true', 'it is marked');
  await look('setup-problem');
  await page.fill('#setup-ollama_host', beside.address);
  await press('Test Ollama');
  await said('#setup-provider .said', 'Ollama answers: 2 models');
  await next('Which model');
  await page.selectOption('#setup-ollama_model', 'second:2b');
  if (tries) await said('#setup-model .models', 'Speech recognition');
  await look('setup-model');
  await next('Which voice');
  await page.selectOption('#setup-tts_voice_kokoro', 'af_bella');
  if (tries) {
    await press('Hear it');
    await said('#setup-voice .said', 'Playing');
    await page.locator('#setup-voice .said', { hasText: /./ }).waitFor({ state: 'detached' });
  }
  await look('setup-voice');
  await next('When does it listen');
  await page.focus('#setup-wake_word_enabled');
  await page.keyboard.press('Space');
  if (tries) {
    await press('Try it');
    await said('#setup-wake-word .said', 'Heard');
    const score = Number(await page.getAttribute('#setup-wake-word [role=meter]', 'aria-valuenow'));
    check(score >= 0 && score <= 1, 'the meter shows a score');
  }
  await look('setup-wake-word');
  if (tries) await page.click('#setup-wake-word button:has-text("Stop")');
  await next('What is in the house');
  await page.check('#setup-hass_enabled');
  await page.fill('#setup-hass_host', beside.address);
  await page.fill('#setup-hass_token', 'wrong');
  await press('Test Home Assistant');
  await said('#setup-integrations .said', 'Invalid access token');
  await page.fill('#setup-hass_token', token);
  await press('Test Home Assistant');
  await said('#setup-integrations .said', 'answers: 3 devices');
  await look('setup-integrations');
  await next('Ready');
  await look('setup-done');
  const chosen = await text('.summary');
  await page.click('#setup-next');
  await page.waitForSelector('#talk:visible');
  await look('talk');
  await page.goto(url);
  await page.reload();
  await page.waitForTimeout(500); // the wizard would come by itself
  check(await page.isVisible('#talk'), 'the wizard comes once');
  return chosen;
}

async function settings() {
  await page.click('#views >> text=Settings');
  await page.waitForSelector('#set-agent_name');
  check((await focused()) === 'settings-title', 'the focus follows the link');
  if (tries) await page.waitForSelector('#settings-models li');
  await look('settings');
  // A secret that is set is neither shown nor asked for again.
  check((await page.inputValue('#set-hass_token')) === '', 'no secret comes back');
  await press('Test Home Assistant');
  await said('#settings-integrations .said', 'answers: 3 devices');
  // All problems at once, each at its field.
  await page.fill('#set-temperature', 'hot');
  await page.fill('#set-max_turns', '0');
  await page.fill('#set-agent_name', 'Ada');
  await page.click('#save');
  await said('#set-temperature-problem', 'It must be a number from 0 to 2');
  await said('#set-max_turns-problem', 'It must be a whole number from 1 to 100');
  check((await focused()) === 'set-temperature', 'the focus is at the first problem');
  await look('settings-problems');
  // What is not saved is still there after another view, and a reload asks.
  await page.click('#views >> text=Log');
  await page.waitForSelector('#log-title:visible');
  check(await page.isVisible('#unsaved'), 'the link tells of changes');
  await page.click('#views >> text=Settings');
  check((await page.inputValue('#set-agent_name')) === 'Ada', 'another view loses nothing');
  const asked = new Promise((resolve) => page.once('dialog', resolve));
  const reload = page.reload().catch(() => undefined);
  const dialog = await asked;
  check(dialog.type() === 'beforeunload', 'a reload asks');
  await dialog.dismiss();
  await reload;
  await page.fill('#set-temperature', '1,2');
  await page.fill('#set-max_turns', '7');
  await page.fill('#set-wake_greetings', 'Yes?\n\nHere I am.');
  await page.fill('#set-pronunciation', 'Nguyen = win');
  await press('Write my own');
  await page.fill('#set-prompt-text', 'You are {{ASSISTANT_NAME}}. Be brief.');
  await page.fill('#set-min_endpointing_delay', '0.4');
  await page.click('#save');
  await page.waitForSelector('#save-bar', { state: 'hidden' });
  // Discarding can be taken back.
  await page.fill('#set-agent_name', 'Bob');
  await page.click('#discard');
  check((await page.inputValue('#set-agent_name')) === 'Ada', 'discarded');
  await page.click('#bring-back');
  check((await page.inputValue('#set-agent_name')) === 'Bob', 'brought back');
  await page.click('#discard');
  const back = page.locator('[data-key=max_turns] button', { hasText: 'Use the default' });
  await back.click();
  await page.click('#save');
  await page.waitForSelector('#save-bar', { state: 'hidden' });
  check((await page.inputValue('#set-max_turns')) === '20', 'the default counts again');
  if (wishes.includes('clear')) {
    await page.click('[aria-label="Clear: Access token of Home Assistant"]');
    await page.click('#save');
    await said('[data-key=hass_token] .origin', 'Not set');
  }
}

async function theme() {
  await page.emulateMedia({ colorScheme: 'light' });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.click('input[name=theme][value=dark]');
  const dark = await ground();
  check(light !== dark, 'dark is not light');
  await page.reload();
  await page.waitForSelector('#set-agent_name');
  check((await ground()) === dark && (await page.isChecked('input[name=theme][value=dark]')), 'the theme is kept');
  await page.click('input[name=theme][value=system]');
  check((await ground()) === light, 'and given back');
}

/** Has a question answered by the model inside, and finds it in the log. */
async function talk() {
  await page.selectOption('#set-llm_provider', 'embedded');
  await page.uncheck('#set-wake_word_enabled');
  await page.click('#save');
  await page.waitForSelector('#save-bar', { state: 'hidden' });
  await page.click('#views >> text=Talk');
  await page.click('#talk');
  await said('#link', 'Connected');
  // The microphone plays the wake word for ever, and would interrupt every answer.
  await page.click('#mute');
  await page.locator('#message:enabled').waitFor();
  await page.fill('#message', 'Say hello.');
  await page.keyboard.press('Enter');
  await page.click('#views >> text=Log');
  await page.locator('#log-table tbody tr').first().waitFor({ timeout: 180_000 });
  await page.waitForSelector('#log-figure rect');
  await look('log');
  const rows = await page.locator('#log-table tbody tr').count();
  const label = await page.getAttribute('#log-figure svg', 'aria-label');
  await page.click('#log-forget');
  await look('log-sure');
  await page.click('#log-forget-yes');
  await said('#log-empty', 'Nothing yet');
  return { rows, label };
}

try {
  const chosen = await wizard();
  await settings();
  await theme();
  await page.click('#views >> text=Log');
  await look('log-empty');
  await page.click('#views >> text=Settings');
  const log = wishes.includes('talk') ? await talk() : undefined;
  process.stdout.write(`${JSON.stringify({ chosen, log, looked, faults, complaints })}\n`);
} catch (error) {
  if (shots) await page.screenshot({ path: `${shots}/${width}-failed.png` }).catch(() => undefined);
  fail(`${error.stack ?? error}\n${complaints.join('\n')}\n${faults.join('\n')}`);
}
await browser.close();
beside.server.close();
