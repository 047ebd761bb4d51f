// One setting in a form: its label, its control, what it does, where its value comes from, and what is
// wrong with it. It shows what the desk says and tells the desk what is typed.

import { button, make, prose } from '../dom.ts';
import { type Control, controlOf } from './controls.ts';
import type { Desk } from './desk.ts';
import { willBeSet } from './draft.ts';
import { isRelevant, labelOf } from './names.ts';
import { isSecret, originInWords, type Setting, whenItCounts } from './table.ts';

/** How much is said about a field: the wizard says less. */
export type Talk = 'everything' | 'little';

export class Field {
  readonly element: HTMLElement;
  private readonly control: Control;
  private readonly problem: HTMLElement;
  private readonly origin: HTMLElement;
  private readonly back: HTMLButtonElement;
  private readonly clash: HTMLElement;

  /** `place` begins the ids, as a setting may stand in two views. */
  constructor(
    private readonly desk: Desk,
    private readonly setting: Setting,
    place: string,
    talk: Talk,
    /** What is said instead of the table's words; empty: nothing. */
    instead?: string,
  ) {
    const { key } = setting;
    const id = `${place}-${key}`;
    this.control = controlOf(setting, id, (raw) => desk.edit(key, raw), talk === 'little' ? 'roomy' : 'compact');
    this.problem = make('p', { class: 'problem', id: `${id}-problem`, hidden: true });
    this.clash = make('p', { class: 'clash', id: `${id}-clash`, hidden: true });
    this.origin = make('span', { class: 'origin' });
    this.back = button('', () => this.goBack(), { class: 'plain small', hidden: true });
    const doc = make('p', { class: 'doc', id: `${id}-doc` }, ...prose(instead ?? setting.doc));
    if (talk === 'everything') doc.append(` ${FORMS[setting.kind] ?? ''}${bounds(setting)}${whenItCounts(setting)}`);
    const notes = make('p', { class: 'notes' }, this.origin, this.back);
    notes.hidden = talk === 'little' && !isSecret(setting);
    const words = [this.problem, this.clash, doc, notes];
    if (this.control.group) {
      this.element = make('fieldset', { class: 'field' }, make('legend', {}, labelOf(key)), this.control.element, ...words);
      this.describe(this.element, id);
    } else {
      const label = make('label', { for: id }, labelOf(key));
      const isSwitch = setting.kind === 'bool';
      const line = isSwitch ? make('div', { class: 'switch' }, this.control.element, label) : undefined;
      this.element = make('div', { class: 'field' }, ...(line ? [line] : [label, this.control.element]), ...words);
      this.describe(this.control.input, id);
    }
    this.element.dataset['key'] = key;
    this.show();
  }

  private describe(element: HTMLElement, id: string): void {
    element.setAttribute('aria-describedby', `${id}-problem ${id}-clash ${id}-doc`);
  }

  /** Whether something here is wrong. */
  get isWrong(): boolean {
    return this.desk.draft.problems.has(this.setting.key);
  }

  private goBack(): void {
    const { key } = this.setting;
    if (this.desk.changes().includes(key)) this.desk.discard([key]);
    else this.desk.reset(key);
    if (this.back.hidden) this.focus();
  }

  focus(): void {
    const { group, input } = this.control;
    (group ? (input.querySelector<HTMLElement>('input:checked') ?? input.querySelector<HTMLElement>('input:not([hidden])')) : input)?.focus();
  }

  show(): void {
    const { desk } = this;
    const { key } = this.setting;
    const setting = desk.table?.settings.get(key);
    if (!setting) return;
    const { draft } = desk;
    const changed = draft.edits.has(key) || draft.unset.has(key);
    this.control.offer(desk.offers.get(key) ?? NONE);
    this.control.show(desk.shown(key));
    this.element.classList.toggle('changed', changed);
    this.element.hidden = !changed && !draft.problems.has(key) && !isRelevant(key, (other) => desk.shown(other));
    this.showProblem(draft.problems.get(key) ?? (changed ? undefined : setting.problem));
    this.clash.hidden = !desk.clashes.includes(key);
    this.clash.textContent = this.clash.hidden ? '' : 'Changed elsewhere meanwhile: saving puts yours in its place.';
    this.showOrigin(setting, changed);
  }

  private showProblem(problem: string | undefined): void {
    this.problem.hidden = problem === undefined;
    this.problem.textContent = problem ?? '';
    const marked = this.control.group ? this.element : this.control.input;
    if (problem === undefined) marked.removeAttribute('aria-invalid');
    else marked.setAttribute('aria-invalid', 'true');
    this.element.classList.toggle('wrong', problem !== undefined);
  }

  private showOrigin(setting: Setting, changed: boolean): void {
    const { draft } = this.desk;
    const secret = isSecret(setting);
    const origin = originInWords(setting.now);
    if (secret && this.control.input instanceof HTMLInputElement) {
      this.control.input.placeholder = willBeSet(setting, draft) && !draft.edits.has(setting.key) ? '••••••••' : '';
    }
    if (draft.unset.has(setting.key)) {
      const to = secret ? (setting.otherwise.value === '' ? 'Will be cleared' : 'Will be taken out of the settings file') : 'Will be as if never set here';
      this.origin.textContent = to;
    } else if (secret) {
      const kept = origin === undefined ? 'Not set' : `${origin}; leave it empty to keep it`;
      const soon = setting.now.value === '' ? 'Not saved yet' : 'Will be replaced';
      this.origin.textContent = changed ? soon : kept;
    } else {
      this.origin.textContent = changed ? 'Not saved yet' : (origin ?? '');
    }
    const inFile = setting.now.origin === 'file' && !draft.unset.has(setting.key);
    this.back.hidden = !(changed || inFile);
    const name = labelOf(setting.key);
    if (changed) {
      this.back.textContent = 'Undo';
      this.back.setAttribute('aria-label', `Undo: ${name}`);
    } else {
      this.back.textContent = secret ? 'Clear' : 'Use the default';
      this.back.setAttribute('aria-label', `${this.back.textContent}: ${name}`);
    }
  }
}

const NONE: readonly string[] = [];

/** How values of a kind are written in the form, where that is not plain. */
const FORMS: Readonly<Record<string, string>> = {
  lines: 'One a line. ',
  map: 'One a line: Nguyen = win. ',
};

function bounds({ minimum, maximum }: Setting): string {
  return minimum === undefined || maximum === undefined ? '' : `From ${minimum} to ${maximum}. `;
}
