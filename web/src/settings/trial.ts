// "Test": asks the server whether a service beside it is there and takes the key. What is typed is tried,
// saved or not; a secret that is kept is tried without ever coming here.

import { button, make } from '../dom.ts';
import { ask, isRecord, texts } from '../api.ts';
import type { Desk } from './desk.ts';
import { workflowsAddress } from './names.ts';

export type Service = 'ollama' | 'groq' | 'openai-compatible' | 'hass' | 'n8n';

const NAMES: Readonly<Record<Service, string>> = {
  ollama: 'Ollama',
  groq: 'Groq',
  'openai-compatible': 'the server',
  hass: 'Home Assistant',
  n8n: 'n8n',
};

export interface Outcome {
  good: boolean;
  text: string;
  models: readonly string[];
}

/** The outcome in an answer, in words. */
export function outcome(service: Service, status: number, body: unknown, problem: string | undefined): Outcome {
  if (problem !== undefined || !isRecord(body)) {
    return { good: false, text: problem ?? `CAAL answered ${status}; its log says why.`, models: [] };
  }
  const models = texts(body['models']);
  if (body['success'] !== true) {
    const error = typeof body['error'] === 'string' ? body['error'] : 'It did not answer as it should.';
    return { good: false, text: error, models: [] };
  }
  const { device_count: devices } = body;
  const found =
    typeof devices === 'number' ? `: ${devices} devices` : models.length > 0 ? `: ${models.length} models` : '';
  const empty = service === 'ollama' && models.length === 0 ? ', but it has no model yet: “ollama pull” fetches one' : '';
  const name = NAMES[service].replace(/^./, (letter) => letter.toUpperCase());
  return { good: true, text: `${name} answers${found}${empty}.`, models };
}

/** What is asked for `service` with what the form has now. */
export function question(service: Service, shown: (key: string) => string, mask: string): unknown {
  switch (service) {
    case 'ollama':
      return { host: shown('ollama_host').trim() };
    case 'groq':
      return { api_key: shown('groq_api_key') || mask };
    case 'openai-compatible':
      return { base_url: shown('openai_base_url').trim(), api_key: shown('openai_api_key') || mask };
    case 'hass':
      return { host: shown('hass_host').trim(), token: shown('hass_token') || mask };
    case 'n8n':
      return { url: workflowsAddress(shown('n8n_url')), token: shown('n8n_token') || mask };
  }
}

/** The list that a service's models belong to. */
const LISTS: Readonly<Partial<Record<Service, string>>> = {
  ollama: 'ollama_model',
  groq: 'groq_model',
  'openai-compatible': 'openai_model',
};

export class Trial {
  readonly element: HTMLElement;
  private readonly press: HTMLButtonElement;
  private readonly said: HTMLElement;
  private asked = 0;

  constructor(
    private readonly desk: Desk,
    private readonly service: Service,
  ) {
    this.press = button(`Test ${NAMES[service]}`, () => void this.run());
    this.said = make('span', { class: 'said', role: 'status' });
    this.element = make('div', { class: 'try' }, this.press, this.said);
  }

  private async run(): Promise<void> {
    const { desk, service } = this;
    if (service === 'n8n' && desk.shown('n8n_url') !== '') {
      const full = workflowsAddress(desk.shown('n8n_url'));
      if (full !== desk.shown('n8n_url')) desk.edit('n8n_url', full);
    }
    const mine = ++this.asked;
    this.press.setAttribute('aria-disabled', 'true');
    this.say('Asking…', '');
    const wish = question(service, (key) => desk.shown(key), desk.table?.mask ?? '');
    const answer = await ask(`/api/setup/test-${service}`, { method: 'POST', body: wish });
    if (mine !== this.asked) return;
    this.press.removeAttribute('aria-disabled');
    const problem = answer.problem ?? ([...answer.fields.values()].join(' ') || undefined);
    const { good, text, models } = outcome(service, answer.status, answer.body, problem);
    this.say(text, good ? 'good' : 'bad');
    const list = LISTS[service];
    if (list) desk.offer(list, models);
  }

  private say(text: string, how: 'good' | 'bad' | ''): void {
    this.said.textContent = text;
    this.said.dataset['how'] = how;
  }
}
