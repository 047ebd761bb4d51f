import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isRelevant, labelOf, sectionsOf, size, voiceLabel, wakeWordLabel, workflowsAddress } from './names.ts';
import { outcome, question } from './trial.ts';
import { readTable, type Table } from './table.ts';

test('a setting that this page does not know is in the form all the same', () => {
  const given = { value: '', origin: 'default', variable: null };
  const rows = ['agent_name', 'first_launch_completed', 'brand_new'].map((key) => ({ key, kind: 'text', now: given, otherwise: given }));
  const sections = sectionsOf(readTable({ settings: rows, prompts: {} }) as Table);
  assert.deepEqual(sections.map(({ id, keys }) => [id, keys]), [['assistant', ['agent_name']], ['more', ['brand_new']]]);
  assert.equal(labelOf('brand_new'), 'Brand new');
});

test('fields of a provider that is not chosen are out of sight', () => {
  const groq = (key: string) => (key === 'llm_provider' ? 'groq' : '');
  assert.deepEqual(['ollama_host', 'groq_api_key', 'agent_name'].map((key) => isRelevant(key, groq)), [false, true, true]);
});

test('voices and wake words are called as people call them', () => {
  assert.equal(voiceLabel('af_heart'), 'Heart, American English, female');
  assert.equal(voiceLabel('bm_george'), 'George, British English, male');
  assert.equal(voiceLabel('af_bella(2)+af_sky(1)'), 'af_bella(2)+af_sky(1)');
  assert.equal(voiceLabel('speaches-ai/piper-en_US-ryan-high'), 'en_US-ryan-high');
  assert.equal(wakeWordLabel('models/hey_jarvis.onnx'), 'hey jarvis');
});

test('n8n’s MCP server is found where n8n has it, unless somebody says where', () => {
  assert.equal(workflowsAddress('http://nas:5678/'), 'http://nas:5678/mcp-server/http');
  assert.equal(workflowsAddress('nas:5678'), 'nas:5678/mcp-server/http');
  assert.equal(workflowsAddress('http://nas/mcp/abc'), 'http://nas/mcp/abc');
  assert.equal(workflowsAddress('http://nas/n8n/x'), 'http://nas/n8n/x');
  assert.equal(workflowsAddress(' '), '');
});

test('a secret that is kept is tried by its mask, one that was typed as it was', () => {
  const shown = (token: string) => (key: string) => (key === 'hass_token' ? token : key === 'hass_host' ? ' http://ha:8123 ' : '');
  assert.deepEqual(question('hass', shown(''), '********'), { host: 'http://ha:8123', token: '********' });
  assert.deepEqual(question('hass', shown('new'), '********'), { host: 'http://ha:8123', token: 'new' });
});

test('a test says what it found, or why not', () => {
  assert.deepEqual(outcome('hass', 200, { success: true, device_count: 42 }, undefined).text, 'Home Assistant answers: 42 devices.');
  assert.deepEqual(outcome('ollama', 200, { success: true, models: ['a', 'b'] }, undefined).models, ['a', 'b']);
  assert.match(outcome('ollama', 200, { success: true, models: [] }, undefined).text, /no model yet/);
  assert.deepEqual(outcome('n8n', 200, { success: false, error: 'Invalid access token' }, undefined).good, false);
  assert.equal(outcome('n8n', 0, undefined, 'no answer').text, 'no answer');
});

test('sizes are short to read', () => {
  assert.deepEqual([12, 5_000_000, 325_000_000, 2_400_000_000].map(size), ['1 kB', '5 MB', '325 MB', '2.4 GB']);
});
