// The settings as a view: sections of fields from the server's table, what goes with them (tests, a voice
// to hear, a wake word to try, models to fetch), and the bar that saves. What is typed stays until it is
// saved or discarded by hand, whatever view one goes to.

import { button, get, make } from '../dom.ts';
import type { Events } from '../events.ts';
import { keepTheme, loadTheme, type Theme } from '../theme.ts';
import type { Visited } from '../views.ts';
import type { Desk } from './desk.ts';
import { type Draft, PROMPT_TEXT } from './draft.ts';
import { Field } from './field.ts';
import { HearIt } from './hear.ts';
import { type Models, ModelsView } from './models-view.ts';
import { labelOf, type Section, sectionsOf } from './names.ts';
import { PromptField } from './prompt-field.ts';
import { asValue, type Table } from './table.ts';
import { Trial, type Service } from './trial.ts';
import { TryWake } from './try-wake.ts';

/** What can be shown and wrong: a field, or the prompt's text. */
export interface Entry {
  readonly element: HTMLElement;
  readonly isWrong: boolean;
  show(): void;
  focus(): void;
}

/** What the tries need of the desk. */
export function hearIt(desk: Desk): HearIt {
  return new HearIt(() => ({ voice: desk.shown('tts_voice_kokoro'), speed: numberOf(desk, 'speech_speed') }));
}

export function tryWake(desk: Desk, microphone: () => string): TryWake {
  return new TryWake(() => ({
    word: desk.shown('wake_word_model').split(',')[0]?.trim() ?? '',
    threshold: numberOf(desk, 'wake_word_threshold') ?? 0.5,
    microphone: microphone(),
  }));
}

function numberOf(desk: Desk, key: string): number | undefined {
  const setting = desk.table?.settings.get(key);
  const value = setting && asValue(setting, desk.shown(key));
  return typeof value === 'number' ? value : undefined;
}

export class SettingsView implements Visited {
  private readonly form = get('settings-form', HTMLFormElement);
  private readonly index = get('settings-index', HTMLElement);
  private readonly bar = get('save-bar', HTMLElement);
  private readonly entries = new Map<string, Entry>();
  private readonly hear: HearIt;
  private readonly wake: TryWake;
  private built = false;
  private discarded: Draft | undefined;

  constructor(
    private readonly desk: Desk,
    private readonly models: Models,
    private readonly events: Events,
    microphone: () => string,
  ) {
    this.hear = hearIt(desk);
    this.wake = tryWake(desk, microphone);
    desk.onChange(() => this.show());
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.save();
    });
    this.wireBar();
    this.showTheme();
    // A reload, a closed tab: the browser asks first.
    window.addEventListener('beforeunload', (event) => {
      if (desk.changes().length > 0) event.preventDefault();
    });
  }

  enter(): void {
    this.events.look('settings');
    void this.desk.load();
    void this.desk.loadOffers();
    void this.models.load();
  }

  leave(): void {
    this.events.leave('settings');
    this.hear.stop();
    this.wake.stop('');
  }

  private showTheme(): void {
    const radios = document.querySelectorAll<HTMLInputElement>('input[name=theme]');
    for (const radio of radios) {
      radio.checked = radio.value === loadTheme();
      radio.addEventListener('change', () => keepTheme(radio.value as Theme));
    }
  }

  private show(): void {
    const { desk } = this;
    const trouble = get('settings-trouble', HTMLElement);
    trouble.hidden = desk.table !== undefined || desk.trouble === undefined;
    if (!trouble.hidden) {
      trouble.replaceChildren(make('p', {}, desk.trouble ?? ''), button('Try again', () => void desk.load()));
    }
    if (desk.table && !this.built) this.build(desk.table);
    for (const entry of this.entries.values()) entry.show();
    this.wake.show();
    this.showBar();
    const mark = get('unsaved', HTMLElement);
    mark.hidden = desk.changes().length === 0;
  }

  private build(table: Table): void {
    this.built = true;
    const sections = sectionsOf(table);
    const made = sections.map((section) => this.section(table, section));
    // Before the bar, which keeps to the end.
    this.bar.before(...made, this.modelsSection());
    const links = [...this.form.querySelectorAll<HTMLElement>('section')].map((section) => {
      const title = section.querySelector('h3');
      const press = button(title?.textContent ?? '', () => {
        title?.scrollIntoView();
        title?.focus({ preventScroll: true });
      });
      return make('li', {}, press);
    });
    this.index.replaceChildren(...links);
  }

  private modelsSection(): HTMLElement {
    const title = make('h3', { tabindex: -1 }, 'Models on this machine');
    return make('section', { id: 'settings-models' }, title, new ModelsView(this.models, 'all').element);
  }

  private section(table: Table, { id, title, keys }: Section): HTMLElement {
    const element = make('section', { id: `settings-${id}` }, make('h3', { tabindex: -1 }, title));
    for (const key of keys) {
      const setting = table.settings.get(key);
      if (!setting) continue;
      const field = new Field(this.desk, setting, 'set', 'everything');
      this.entries.set(key, field);
      element.append(field.element, ...this.beside(key));
    }
    if (id === 'wake-word') element.append(this.wake.element);
    return element;
  }

  /** What stands below a field: the way to try it. */
  private beside(key: string): readonly HTMLElement[] {
    switch (key) {
      case 'prompt': {
        const text = new PromptField(this.desk, 'set');
        this.entries.set(PROMPT_TEXT, text);
        return [text.element];
      }
      case 'tts_voice_kokoro':
        return [this.hear.element];
      case 'ollama_host':
        return [this.trial('ollama', key)];
      case 'groq_api_key':
        return [this.trial('groq', key)];
      case 'openai_api_key':
        return [this.trial('openai-compatible', key)];
      case 'hass_token':
        return [this.trial('hass', key)];
      case 'n8n_token':
        return [this.trial('n8n', key)];
      default:
        return [];
    }
  }

  private trial(service: Service, below: string): HTMLElement {
    return trialBelow(this.desk, service, () => this.entries.get(below));
  }

  private showBar(): void {
    const { desk } = this;
    const changes = desk.changes().length;
    if (changes > 0) this.discarded = undefined;
    const wrong = [...this.entries].filter(([, entry]) => entry.isWrong);
    const trouble = desk.table ? desk.trouble : undefined;
    this.bar.hidden = changes === 0 && trouble === undefined && this.discarded === undefined;
    get('save-count', HTMLElement).textContent = desk.saving ? 'Saving…' : this.discarded ? 'Changes discarded' : count(changes);
    get('save', HTMLButtonElement).hidden = changes === 0;
    get('discard', HTMLButtonElement).hidden = changes === 0;
    get('bring-back', HTMLButtonElement).hidden = this.discarded === undefined;
    const problems = get('save-problems', HTMLElement);
    const said = JSON.stringify([trouble, wrong.map(([key]) => key)]);
    if (problems.dataset['said'] === said) return;
    problems.dataset['said'] = said;
    const links = wrong.map(([key, entry]) =>
      make('li', {}, button(key === PROMPT_TEXT ? 'The prompt’s text' : labelOf(key), () => entry.focus(), { class: 'plain small' })),
    );
    const title = links.length === 0 ? undefined : make('p', {}, 'Nothing was saved. Not right yet:');
    problems.replaceChildren(
      ...[trouble === undefined ? undefined : make('p', {}, trouble), title, links.length > 0 ? make('ul', {}, ...links) : undefined].filter(
        (node) => node !== undefined,
      ),
    );
  }

  async save(): Promise<void> {
    const result = await this.desk.save();
    if (result !== 'refused') return;
    [...this.entries.values()].find((entry) => entry.isWrong)?.focus();
  }

  private wireBar(): void {
    get('discard', HTMLButtonElement).addEventListener('click', () => {
      const before = this.desk.draft;
      this.desk.discard();
      this.discarded = before;
      this.showBar();
      get('bring-back', HTMLButtonElement).focus();
    });
    get('bring-back', HTMLButtonElement).addEventListener('click', () => {
      if (!this.discarded) return;
      this.desk.bringBack(this.discarded);
      get('save', HTMLButtonElement).focus();
    });
  }
}

/** A test that is in sight while the field above it is. */
export function trialBelow(desk: Desk, service: Service, above: () => Entry | undefined): HTMLElement {
  const { element } = new Trial(desk, service);
  const follow = () => {
    element.hidden = above()?.element.hidden ?? false;
  };
  desk.onChange(follow);
  queueMicrotask(follow);
  return element;
}

function count(changes: number): string {
  return changes === 1 ? '1 change is not saved' : `${changes} changes are not saved`;
}
