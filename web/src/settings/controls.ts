// What a value is typed into or chosen with, by its kind. A control knows its text only; label, words and
// problems are the field's around it.

import { make } from '../dom.ts';
import { choiceLabel, voiceLabel, wakeWordLabel, wakeWordName } from './names.ts';
import { isSecret, type Setting } from './table.ts';

export interface Control {
  readonly element: HTMLElement;
  /** What has the label, the focus and the descriptions; a group's fieldset has them itself. */
  readonly input: HTMLElement;
  readonly group: boolean;
  show(raw: string): void;
  offer(options: readonly string[]): void;
}

/** `roomy`: one choice below the other, with words to each. */
export type Look = 'compact' | 'roomy';

/** Fields that may be chosen from a list that the server gives, and how its entries are called. */
const LISTED: Readonly<Record<string, { called: (option: string) => string; none?: string; other: string }>> = {
  tts_voice_kokoro: { called: voiceLabel, other: 'A blend…' },
  tts_voice_piper: { called: voiceLabel, other: 'Another…' },
  ollama_model: { called: (name) => name, none: 'The first one it has', other: 'Another…' },
  openai_model: { called: (name) => name, none: 'The first one it has', other: 'Another…' },
  groq_model: { called: (name) => name, other: 'Another…' },
  whisper_model: { called: (name) => name, other: 'Another…' },
  embedded_model: { called: (name) => name, other: 'Another…' },
};

/** The control of `setting`; `change` hears what is typed or chosen. `id` goes to its input. */
export function controlOf(setting: Setting, id: string, change: (raw: string) => void, look: Look): Control {
  const listed = LISTED[setting.key];
  if (listed) return new Listed(setting, id, change, listed);
  if (setting.key === 'wake_word_model') return new Several(setting, id, change);
  switch (setting.kind) {
    case 'bool':
      return new Switch(id, change);
    case 'choice':
      return look === 'roomy' ? new Cards(setting, id, change) : new Choice(setting, id, change);
    case 'lines':
    case 'map':
      return new Lines(id, change);
    default:
      return new Line(setting, id, change);
  }
}

class Line implements Control {
  readonly input: HTMLInputElement;
  readonly element: HTMLElement;
  readonly group = false;

  constructor(setting: Setting, id: string, change: (raw: string) => void) {
    const number = setting.kind === 'int' || setting.kind === 'number';
    this.input = make('input', {
      id,
      type: isSecret(setting) ? 'password' : 'text',
      autocomplete: isSecret(setting) ? 'new-password' : 'off',
      spellcheck: 'false',
      autocapitalize: 'off',
      inputmode: setting.kind === 'url' ? 'url' : number ? (setting.kind === 'int' ? 'numeric' : 'decimal') : undefined,
      class: number ? 'number' : undefined,
    });
    this.input.addEventListener('input', () => change(this.input.value));
    this.element = this.input;
    if (setting.kind === 'zone') this.element = make('span', {}, this.input, this.zones(id));
  }

  private zones(id: string): HTMLDataListElement {
    const list = make('datalist', { id: `${id}-zones` }, ...Intl.supportedValuesOf('timeZone').map((zone) => new Option(zone, zone)));
    this.input.setAttribute('list', list.id);
    return list;
  }

  show(raw: string): void {
    if (this.input.value !== raw) this.input.value = raw;
  }

  offer(): void {}
}

class Lines implements Control {
  readonly input: HTMLTextAreaElement;
  readonly group = false;

  constructor(id: string, change: (raw: string) => void) {
    this.input = make('textarea', { id, rows: 4 });
    this.input.addEventListener('input', () => change(this.input.value));
  }

  get element(): HTMLElement {
    return this.input;
  }

  show(raw: string): void {
    if (this.input.value === raw) return;
    this.input.value = raw;
    this.input.rows = Math.min(10, Math.max(3, raw.split('\n').length));
  }

  offer(): void {}
}

class Switch implements Control {
  readonly input: HTMLInputElement;
  readonly group = false;

  constructor(id: string, change: (raw: string) => void) {
    this.input = make('input', { id, type: 'checkbox' });
    this.input.addEventListener('change', () => change(String(this.input.checked)));
  }

  get element(): HTMLElement {
    return this.input;
  }

  show(raw: string): void {
    this.input.checked = raw === 'true';
  }

  offer(): void {}
}

class Choice implements Control {
  readonly input: HTMLSelectElement;
  readonly group = false;

  constructor(setting: Setting, id: string, change: (raw: string) => void) {
    this.input = make('select', { id });
    this.input.append(...setting.choices.map((choice) => new Option(choiceLabel(setting.key, choice).name, choice)));
    this.input.addEventListener('change', () => change(this.input.value));
  }

  get element(): HTMLElement {
    return this.input;
  }

  show(raw: string): void {
    this.input.value = raw;
  }

  offer(): void {}
}

class Cards implements Control {
  readonly element: HTMLElement;
  readonly group = true;

  constructor(setting: Setting, id: string, change: (raw: string) => void) {
    const cards = setting.choices.map((choice) => {
      const radio = make('input', { type: 'radio', name: id, value: choice });
      radio.addEventListener('change', () => change(choice));
      const { name, more } = choiceLabel(setting.key, choice);
      return make('label', {}, radio, make('strong', {}, name), more === undefined ? undefined : make('span', { class: 'doc' }, more));
    });
    this.element = make('div', { class: 'cards' }, ...cards);
  }

  get input(): HTMLElement {
    return this.element;
  }

  show(raw: string): void {
    for (const radio of this.element.querySelectorAll('input')) radio.checked = radio.value === raw;
  }

  offer(): void {}
}

/** Chosen from a list, or typed. Without a list it is only typed. */
class Listed implements Control {
  readonly element: HTMLElement;
  readonly input: HTMLSelectElement;
  readonly group = false;
  private readonly own: HTMLInputElement;
  private options: readonly string[] = [];
  private raw = '';
  private typing = false;

  constructor(
    private readonly setting: Setting,
    id: string,
    change: (raw: string) => void,
    private readonly words: { called: (option: string) => string; none?: string; other: string },
  ) {
    this.input = make('select', { id });
    this.own = make('input', {
      type: 'text',
      autocomplete: 'off',
      spellcheck: 'false',
      autocapitalize: 'off',
      'aria-label': 'Its name',
      'aria-describedby': `${id}-doc`,
    });
    this.own.hidden = true;
    this.input.addEventListener('change', () => {
      this.typing = this.input.value === OTHER;
      if (this.typing) {
        this.own.hidden = false;
        this.own.focus();
        return;
      }
      change(this.input.value);
    });
    this.own.addEventListener('input', () => change(this.own.value));
    this.element = make('span', { class: 'listed' }, this.input, this.own);
    this.fill();
  }

  show(raw: string): void {
    const same = raw === this.raw;
    this.raw = raw;
    if (!same && !(this.typing && this.own.value === raw)) this.typing = false;
    this.fill();
  }

  offer(options: readonly string[]): void {
    if (this.options === options) return;
    this.options = options;
    this.fill();
  }

  private fill(): void {
    const { called, none, other } = this.words;
    const known = [...this.options];
    // What is set is in the list, whether or not the server has it just now.
    for (const value of [this.setting.now.value, this.typing ? '' : this.raw]) {
      if (typeof value === 'string' && value !== '' && !known.includes(value)) known.unshift(value);
    }
    const wanted = [
      ...(none === undefined ? [] : [{ value: '', text: none }]),
      ...known.map((value) => ({ value, text: called(value) })),
      { value: OTHER, text: other },
    ];
    const there = [...this.input.options];
    if (there.length !== wanted.length || wanted.some((w, i) => there[i]?.value !== w.value)) {
      this.input.replaceChildren(...wanted.map(({ value, text }) => new Option(text, value)));
    }
    this.input.value = this.typing ? OTHER : this.raw;
    this.own.hidden = !this.typing;
    if (this.typing && this.own.value !== this.raw) this.own.value = this.raw;
  }
}

/** No value is called so: they are of one line. */
const OTHER = '\n';

/** Several of a list, kept with commas between; without a list a line to type into. */
class Several implements Control {
  readonly element: HTMLElement;
  readonly input: HTMLElement;
  readonly group = true;
  private readonly line: HTMLInputElement;
  private readonly boxes: HTMLElement;
  private options: readonly string[] = [];
  private raw = '';

  constructor(
    setting: Setting,
    private readonly id: string,
    private readonly change: (raw: string) => void,
  ) {
    this.line = make('input', { id, type: 'text', autocomplete: 'off', spellcheck: 'false', 'aria-label': 'Names, with commas between' });
    this.line.addEventListener('input', () => change(this.line.value));
    this.boxes = make('div', { class: 'several' });
    this.element = make('div', {}, this.boxes, this.line);
    this.input = this.element;
    this.element.dataset['key'] = setting.key;
  }

  show(raw: string): void {
    this.raw = raw;
    this.fill();
  }

  offer(options: readonly string[]): void {
    if (this.options === options) return;
    this.options = options;
    this.fill();
  }

  private fill(): void {
    this.line.hidden = this.options.length > 0;
    if (this.line.value !== this.raw) this.line.value = this.raw;
    const chosen = this.raw.split(',').map(wakeWordName).filter((name) => name !== '');
    const there = this.options.map(wakeWordName);
    const missing = chosen.filter((name) => !there.includes(name));
    const all = this.options.length > 0 ? [...this.options, ...missing] : [];
    if (this.boxes.dataset['of'] !== all.join('\n')) {
      this.boxes.dataset['of'] = all.join('\n');
      this.boxes.replaceChildren(...all.map((option, i) => this.box(option, i)));
    }
    for (const box of this.boxes.querySelectorAll('input')) box.checked = chosen.includes(wakeWordName(box.value));
  }

  private box(option: string, i: number): HTMLElement {
    const box = make('input', { type: 'checkbox', value: option, id: `${this.id}-${i}` });
    box.addEventListener('change', () => {
      const boxes = [...this.boxes.querySelectorAll('input')];
      this.change(boxes.filter((one) => one.checked).map((one) => one.value).join(','));
    });
    return make('label', {}, box, ` ${wakeWordLabel(option)}`);
  }
}
