// How settings and their values are called in the form, and in which section each stands. Pure. What the
// server has and this file does not know is called by its key and stands under "More": a new row of the
// server's table is in the form without a change here.

import type { Table } from './table.ts';

export interface Section {
  id: string;
  title: string;
  keys: readonly string[];
}

const SECTIONS: readonly Section[] = [
  {
    id: 'assistant',
    title: 'Assistant',
    keys: ['agent_name', 'wake_greetings', 'prompt', 'timezone', 'timezone_display'],
  },
  {
    id: 'model',
    title: 'Model',
    keys: [
      'llm_provider',
      'ollama_host',
      'ollama_model',
      'keep_alive',
      'ollama_think',
      'groq_api_key',
      'groq_model',
      'openai_base_url',
      'openai_api_key',
      'openai_model',
      'embedded_model',
      'temperature',
      'num_ctx',
      'max_turns',
    ],
  },
  {
    id: 'voice',
    title: 'Voice',
    keys: ['tts_provider', 'tts_voice_kokoro', 'tts_voice_piper', 'speech_speed', 'pronunciation'],
  },
  { id: 'hearing', title: 'Hearing', keys: ['language', 'stt_prompt', 'whisper_model', 'stt_provider'] },
  {
    id: 'wake-word',
    title: 'Wake word',
    keys: ['wake_word_enabled', 'wake_word_model', 'wake_word_threshold', 'wake_word_timeout'],
  },
  {
    id: 'turns',
    title: 'Taking turns',
    keys: ['min_endpointing_delay', 'turn_end_long', 'allow_interruptions'],
  },
  {
    id: 'integrations',
    title: 'Integrations',
    keys: ['hass_enabled', 'hass_host', 'hass_token', 'n8n_enabled', 'n8n_url', 'n8n_token', 'tool_cache_size'],
  },
];

/** Settings that are no field of the form. */
const NOT_SHOWN: readonly string[] = ['first_launch_completed'];

/** The sections of the form of `table`: what is not in it is left out, what nobody placed comes last. */
export function sectionsOf(table: Table): readonly Section[] {
  const placed = new Set([...SECTIONS.flatMap((section) => section.keys), ...NOT_SHOWN]);
  const rest = [...table.settings.keys()].filter((key) => !placed.has(key));
  return [...SECTIONS, { id: 'more', title: 'More', keys: rest }]
    .map((section) => ({ ...section, keys: section.keys.filter((key) => table.settings.has(key)) }))
    .filter((section) => section.keys.length > 0);
}

const LABELS: Readonly<Record<string, string>> = {
  agent_name: 'Its name',
  wake_greetings: 'Greetings when it is woken',
  prompt: 'What it is told about itself',
  timezone: 'Time zone',
  timezone_display: 'What the time zone is called',
  llm_provider: 'Who answers',
  ollama_host: 'Address of Ollama',
  ollama_model: 'Model of Ollama',
  ollama_think: 'Let it think before it answers',
  keep_alive: 'Ollama keeps the model loaded',
  groq_api_key: 'Groq API key',
  groq_model: 'Model of Groq',
  openai_base_url: 'Address of the OpenAI-compatible server',
  openai_api_key: 'Key of that server',
  openai_model: 'Model of that server',
  embedded_model: 'Built-in model',
  temperature: 'Freedom (temperature)',
  num_ctx: 'Context, in tokens',
  max_turns: 'Turns it remembers',
  tts_provider: 'Who speaks',
  tts_voice_kokoro: 'Voice',
  tts_voice_piper: 'Voice of Piper',
  speech_speed: 'Speed of speech',
  pronunciation: 'Pronunciation',
  language: 'Language',
  stt_prompt: 'Names and spellings',
  whisper_model: 'Speech recognition model',
  stt_provider: 'Who listens',
  wake_word_enabled: 'Sleep until the wake word',
  wake_word_model: 'Wake words',
  wake_word_threshold: 'Score from which it wakes',
  wake_word_timeout: 'Stays awake after an answer, in seconds',
  min_endpointing_delay: 'Pause after what sounds complete, in seconds',
  turn_end_long: 'Pause after what sounds unfinished, in seconds',
  allow_interruptions: 'You may interrupt it',
  hass_enabled: 'Use Home Assistant',
  hass_host: 'Address of Home Assistant',
  hass_token: 'Access token of Home Assistant',
  n8n_enabled: 'Use n8n',
  n8n_url: 'MCP address of n8n',
  n8n_token: 'Access token of n8n',
  tool_cache_size: 'Tool results it remembers',
  web_search: 'Web search',
  web_search_url: 'Address of SearXNG',
  keep_turn_words: 'Keep the words of turns in the log',
  conversation_history: 'Keep conversations on the disk',
  conversation_resume: 'Minutes in which a conversation goes on',
  conversation_retention: 'Days that conversations are kept',
  memory_enabled: 'Remember what it is asked to remember',
};

export function labelOf(key: string): string {
  const known = LABELS[key];
  if (known !== undefined) return known;
  const words = key.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export interface Choice {
  name: string;
  /** What it means, where there is room to say so. */
  more?: string;
}

const CHOICES: Readonly<Record<string, Readonly<Record<string, Choice>>>> = {
  llm_provider: {
    auto: { name: 'Automatic', more: 'Ollama where it answers, else the built-in model.' },
    ollama: { name: 'Ollama', more: 'A model server, on this machine or another of yours.' },
    embedded: { name: 'The built-in model', more: 'Small; needs nothing else.' },
    groq: { name: 'Groq', more: 'A service outside the house: what is said to the assistant goes there as text.' },
    openai_compatible: { name: 'OpenAI-compatible', more: 'vLLM, llama.cpp, LM Studio and others, by their address.' },
  },
  tts_provider: { kokoro: { name: 'Kokoro' }, piper: { name: 'Piper' } },
  stt_provider: { speaches: { name: 'This machine' }, groq: { name: 'Groq' } },
  prompt: { default: { name: 'The built-in text' }, custom: { name: 'A text of my own' } },
};

export function choiceLabel(key: string, choice: string): Choice {
  return CHOICES[key]?.[choice] ?? { name: choice };
}

/** The fields that say nothing unless another has a certain value; they stay in sight while they are changed. */
const ONLY_WITH: Readonly<Record<string, readonly [key: string, values: readonly string[]]>> = {
  ollama_host: ['llm_provider', ['auto', 'ollama']],
  ollama_model: ['llm_provider', ['auto', 'ollama']],
  keep_alive: ['llm_provider', ['auto', 'ollama']],
  ollama_think: ['llm_provider', ['auto', 'ollama']],
  embedded_model: ['llm_provider', ['auto', 'embedded']],
  groq_api_key: ['llm_provider', ['groq']],
  groq_model: ['llm_provider', ['groq']],
  openai_base_url: ['llm_provider', ['openai_compatible']],
  openai_api_key: ['llm_provider', ['openai_compatible']],
  openai_model: ['llm_provider', ['openai_compatible']],
  tts_voice_piper: ['tts_provider', ['piper']],
  hass_host: ['hass_enabled', ['true']],
  hass_token: ['hass_enabled', ['true']],
  n8n_url: ['n8n_enabled', ['true']],
  n8n_token: ['n8n_enabled', ['true']],
};

/** Whether `key` says anything now; `shown` gives the text that a field shows. */
export function isRelevant(key: string, shown: (key: string) => string): boolean {
  const rule = ONLY_WITH[key];
  if (!rule) return true;
  const value = shown(rule[0]);
  return value === '' || rule[1].includes(value);
}

const LANGUAGES: Readonly<Record<string, string>> = {
  a: 'American English',
  b: 'British English',
  e: 'Spanish',
  f: 'French',
  h: 'Hindi',
  i: 'Italian',
  j: 'Japanese',
  p: 'Portuguese',
  z: 'Chinese',
};

/** "Heart, American English, female" for Kokoro's `af_heart`; others as they are called. */
export function voiceLabel(voice: string): string {
  const parts = /^([a-z])([fm])_([a-z0-9]+)$/.exec(voice);
  const language = parts && LANGUAGES[parts[1] ?? ''];
  if (!parts || !language) return voice.replace(/^speaches-ai\/piper-/, '');
  const name = parts[3] ?? '';
  const sex = parts[2] === 'f' ? 'female' : 'male';
  return `${name.charAt(0).toUpperCase()}${name.slice(1)}, ${language}, ${sex}`;
}

/** "hey_jarvis" for CAAL's "models/hey_jarvis.onnx". */
export function wakeWordName(file: string): string {
  return file.trim().replace(/^.*\//, '').replace(/\.onnx$/, '');
}

/** The words that wake, as they are said. */
export function wakeWordLabel(file: string): string {
  return wakeWordName(file).replaceAll('_', ' ');
}

/** n8n's MCP address for what somebody typed: its server lives under a path of its own. */
export function workflowsAddress(typed: string): string {
  const address = typed.trim().replace(/\/+$/, '');
  if (address === '' || address.includes('/mcp')) return address;
  return /^(https?:\/\/)?[^/]+$/i.test(address) ? `${address}/mcp-server/http` : address;
}

/** 325 MB for 325,000,000 bytes. */
export function size(bytes: number): string {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
