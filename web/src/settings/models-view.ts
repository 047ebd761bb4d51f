// The models as a list, with the download of those that are missing and how far it is. The settings show
// all, the wizard what CAAL cannot do without.

import { announce, button, make, prose } from '../dom.ts';
import { ask, isGood, isRecord } from '../api.ts';
import type { Events } from '../events.ts';
import type { Desk } from './desk.ts';
import {
  type Download,
  downloadInWords,
  IDLE,
  isRunning,
  missing,
  type Model,
  type Part,
  partLabel,
  readDownload,
  readModels,
  readParts,
  share,
  stateInWords,
} from './models.ts';
import { size } from './names.ts';

/** What is known of the models, once for all views. */
export class Models {
  models: readonly Model[] = [];
  parts: readonly Part[] = [];
  download: Download = IDLE;
  trouble: string | undefined;
  private readonly listeners = new Set<() => void>();

  constructor(
    private readonly desk: Desk,
    events: Events,
  ) {
    events.on('download', (data) => {
      const download = readDownload(data);
      if (download) this.follow(download);
    });
    events.on('ready', (data) => {
      this.parts = readParts(data);
      this.tell();
    });
  }

  onChange(listener: () => void): void {
    this.listeners.add(listener);
  }

  async load(): Promise<void> {
    const answer = await ask('/api/downloads');
    if (isGood(answer) && isRecord(answer.body)) {
      this.models = readModels(answer.body['models']);
      this.download = readDownload(answer.body['download']) ?? IDLE;
      const called = (role: string) => this.models.filter((model) => model.role === role).map((model) => model.name);
      this.desk.offer('whisper_model', called('stt'));
      this.desk.offer('embedded_model', called('llm'));
      this.trouble = undefined;
    } else {
      this.trouble = answer.problem;
    }
    this.tell();
  }

  /** Begins to fetch `names`; none: what is missing of what CAAL needs. */
  async fetch(names: readonly string[]): Promise<void> {
    const answer = await ask('/api/downloads', { method: 'POST', body: { names } });
    this.trouble = isGood(answer) ? undefined : (answer.problem ?? [...answer.fields.values()].join(' '));
    const download = isGood(answer) ? readDownload(answer.body) : undefined;
    if (download) this.follow(download);
    else this.tell();
  }

  async stop(): Promise<void> {
    const answer = await ask('/api/downloads', { method: 'DELETE' });
    this.trouble = answer.problem;
    this.tell();
  }

  private follow(download: Download): void {
    const before = this.download;
    this.download = download;
    if (before.state !== download.state) {
      if (download.state !== 'idle') announce(downloadInWords(download));
      if (isRunning(before) || before.model !== download.model) void this.load();
    } else if (before.model !== download.model) {
      void this.load();
    }
    this.tell();
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

export class ModelsView {
  readonly element: HTMLElement;
  private readonly line: HTMLElement;
  private readonly bar: HTMLProgressElement;
  private readonly all: HTMLButtonElement;
  private readonly stop: HTMLButtonElement;
  private readonly list: HTMLElement;
  private readonly trouble: HTMLElement;
  private shown = '';

  constructor(
    private readonly models: Models,
    private readonly which: 'all' | 'needed',
  ) {
    this.line = make('p', { class: 'said' });
    this.bar = make('progress', { max: 1, 'aria-label': 'Download' });
    this.all = button('Download what is missing', () => void models.fetch([]));
    this.stop = button('Stop', () => void models.stop());
    this.trouble = make('p', { class: 'problem', role: 'alert' });
    this.list = make('ul', { class: 'models' });
    const progress = make('div', { class: 'download' }, this.line, this.bar, make('div', { class: 'try' }, this.all, this.stop));
    this.element = make('div', {}, progress, this.trouble, this.list);
    models.onChange(() => this.show());
    this.show();
  }

  private show(): void {
    const { models, download, trouble } = this.models;
    const running = isRunning(download);
    const lacking = missing(models);
    const part = share(download);
    const words = downloadInWords(download);
    const needs = `Missing of what CAAL needs: ${lacking.join(', ')}.`;
    this.line.textContent = running || download.state === 'failed' ? words : lacking.length > 0 ? needs : words;
    this.line.hidden = this.line.textContent === '';
    this.bar.hidden = !running;
    if (part === undefined) this.bar.removeAttribute('value');
    else this.bar.value = part;
    this.all.hidden = running || lacking.length === 0;
    this.stop.hidden = !running;
    this.trouble.hidden = trouble === undefined;
    this.trouble.textContent = trouble ?? '';
    this.showList(running);
  }

  private showList(running: boolean): void {
    const { models, parts } = this.models;
    const wanted = this.which === 'all' ? models : [];
    const state = JSON.stringify([wanted, this.which === 'needed' ? parts : [], running]);
    if (state === this.shown) return;
    this.shown = state;
    const entries = wanted.map((model) => this.entry(model, running));
    const loaded = this.which === 'needed' ? parts.map(partEntry) : [];
    this.list.replaceChildren(...loaded, ...entries);
    this.list.hidden = this.list.childElementCount === 0;
  }

  private entry(model: Model, running: boolean): HTMLElement {
    const amount = model.bytes === undefined ? '' : `, ${size(model.bytes)}`;
    const words = model.state === 'missing' ? 'Download' : 'Download again';
    const press = button(words, () => void this.models.fetch([model.name]), {
      class: 'small',
      'aria-label': `${words}: ${model.name}`,
      disabled: running,
    });
    const about = make('div', {}, make('strong', {}, model.name), make('span', { class: 'doc' }, ` ${stateInWords(model)}${amount}`));
    if (model.description) about.append(make('p', { class: 'doc' }, ...prose(model.description)));
    return make('li', { 'data-state': model.state }, about, model.state === 'present' ? undefined : press);
  }
}

function partEntry(part: Part): HTMLElement {
  const words = part.state === 'ready' ? 'Ready' : part.state === 'loading' ? 'Loading…' : part.detail || part.state;
  const detail = part.state === 'ready' && part.detail ? make('p', { class: 'doc' }, part.detail) : undefined;
  return make(
    'li',
    { 'data-state': part.state === 'ready' ? 'present' : part.state },
    make('div', {}, make('strong', {}, partLabel(part)), make('span', { class: 'doc' }, ` ${words}`), detail),
  );
}
