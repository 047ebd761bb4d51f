// The first-run wizard's steps: what each asks, and what is left to say at the end. Pure.

import { isRelevant, labelOf } from '../settings/names.ts';

export interface Step {
  id: string;
  /** In the list of steps. */
  name: string;
  /** Over the step. */
  title: string;
  lead: string;
  /** The settings that it asks; fields that say nothing after earlier choices hide themselves. */
  keys: readonly string[];
}

export const STEPS: readonly Step[] = [
  {
    id: 'provider',
    name: 'Provider',
    title: 'Who answers your questions?',
    lead: 'A language model writes the answers. All of this can be changed later in the settings.',
    keys: ['llm_provider', 'ollama_host', 'groq_api_key', 'openai_base_url', 'openai_api_key'],
  },
  {
    id: 'model',
    name: 'Model',
    title: 'Which model?',
    lead: 'Larger models know more and take longer to begin. Ears and voice run on this machine whatever you choose.',
    keys: ['ollama_model', 'groq_model', 'openai_model', 'embedded_model'],
  },
  {
    id: 'voice',
    name: 'Voice',
    title: 'Which voice?',
    lead: 'Choose one and hear it. The first time it takes a moment.',
    keys: ['tts_voice_kokoro', 'speech_speed'],
  },
  {
    id: 'wake-word',
    name: 'Wake word',
    title: 'When does it listen?',
    lead: 'Always, or only after its wake word. You can try the word here: the bar must go over the mark.',
    keys: ['wake_word_enabled', 'wake_word_model', 'wake_word_threshold'],
  },
  {
    id: 'integrations',
    name: 'Integrations',
    title: 'What is in the house?',
    lead: 'Optional. Keys and tokens are kept on this machine and never shown again.',
    keys: ['hass_enabled', 'hass_host', 'hass_token', 'n8n_enabled', 'n8n_url', 'n8n_token'],
  },
  { id: 'done', name: 'Done', title: 'Ready', lead: 'This is what you chose:', keys: [] },
];

/** What is said below a field, where the table says more than somebody wants to know who begins. */
export const WORDS: Readonly<Record<string, string>> = {
  llm_provider: '',
  ollama_host: 'Such as `http://192.168.1.5:11434`.',
  ollama_model: '',
  groq_api_key: 'Kept for later. “Test Groq” asks Groq whether it takes the key.',
  groq_model: '',
  openai_base_url: 'Such as `http://localhost:8000/v1`.',
  openai_api_key: 'If the server wants one. “Test the server” asks for its models.',
  openai_model: '',
  embedded_model: '',
  tts_voice_kokoro: '',
  speech_speed: 'From 0.5 to 2; 1 is the voice’s own.',
  wake_word_enabled: 'Without it, it always listens while somebody talks with it on a page or in a room.',
  wake_word_model: 'Any of those that are chosen wakes it.',
  wake_word_threshold: 'From 0 to 1. Lower wakes more easily, also by mistake.',
  hass_enabled: '',
  n8n_enabled: '',
};

export interface Line {
  label: string;
  value: string;
}

/** What was chosen, for the last step; `called` names a value of a key for people. */
export function summary(shown: (key: string) => string, called: (key: string, value: string) => string): readonly Line[] {
  const line = (key: string, none: string): Line => ({ label: labelOf(key), value: called(key, shown(key)) || none });
  const lines = [line('llm_provider', '–')];
  for (const key of ['ollama_model', 'embedded_model', 'groq_model', 'openai_model']) {
    if (isRelevant(key, shown)) lines.push(line(key, 'The first one it has'));
  }
  lines.push(line('tts_voice_kokoro', '–'));
  const sleeps = shown('wake_word_enabled') === 'true';
  lines.push({ label: 'Listens', value: sleeps ? `after “${called('wake_word_model', shown('wake_word_model'))}”` : 'always' });
  const used = [shown('hass_enabled') === 'true' && 'Home Assistant', shown('n8n_enabled') === 'true' && 'n8n'];
  lines.push({ label: 'Integrations', value: used.filter(Boolean).join(', ') || 'none' });
  return lines;
}
