import assert from 'node:assert/strict';
import { test } from 'node:test';

import { STEPS, summary } from './steps.ts';

test('the wizard goes from the provider to the end, and asks nothing twice', () => {
  assert.deepEqual(STEPS.map((step) => step.id), ['provider', 'model', 'voice', 'wake-word', 'integrations', 'done']);
  const keys = STEPS.flatMap((step) => step.keys);
  assert.equal(new Set(keys).size, keys.length);
});

test('the end names what was chosen and leaves out what says nothing', () => {
  const values: Record<string, string> = {
    llm_provider: 'ollama',
    ollama_model: '',
    embedded_model: 'small',
    tts_voice_kokoro: 'af_heart',
    wake_word_enabled: 'true',
    wake_word_model: 'hey_jarvis',
    hass_enabled: 'true',
    n8n_enabled: 'false',
  };
  const lines = summary((key) => values[key] ?? '', (_, value) => value);
  assert.deepEqual(lines.map((line) => line.value), ['ollama', 'The first one it has', 'af_heart', 'after “hey_jarvis”', 'Home Assistant']);
});
