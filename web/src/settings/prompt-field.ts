// What the assistant is told about itself: the program's text, or one of the person's own, with a way
// there and back.

import { button, make } from '../dom.ts';
import type { Desk } from './desk.ts';
import { PROMPT_TEXT } from './draft.ts';

export class PromptField {
  readonly element: HTMLElement;
  private readonly text: HTMLTextAreaElement;
  private readonly problem: HTMLElement;
  private readonly own: HTMLButtonElement;
  private readonly back: HTMLButtonElement;

  constructor(
    private readonly desk: Desk,
    place: string,
  ) {
    const id = `${place}-prompt-text`;
    this.text = make('textarea', { id, rows: 8, 'aria-describedby': `${id}-problem`, maxlength: 65_536 });
    this.text.addEventListener('input', () => desk.edit(PROMPT_TEXT, this.text.value));
    this.problem = make('p', { class: 'problem', id: `${id}-problem`, hidden: true });
    this.own = button('Write my own', () => {
      desk.edit('prompt', 'custom');
      this.text.focus();
    });
    this.back = button('Back to the built-in text', () => {
      desk.edit('prompt', 'default');
      this.own.focus();
    });
    const label = make('label', { for: id }, 'Its text');
    const buttons = make('div', { class: 'try' }, this.own, this.back);
    this.element = make('div', { class: 'field' }, label, this.text, this.problem, buttons);
    this.show();
  }

  get isWrong(): boolean {
    return this.desk.draft.problems.has(PROMPT_TEXT);
  }

  focus(): void {
    this.text.focus();
  }

  show(): void {
    const { desk } = this;
    const custom = desk.shown('prompt') === 'custom';
    const shown = custom ? desk.shown(PROMPT_TEXT) : (desk.table?.prompts.standard ?? '');
    if (this.text.value !== shown) this.text.value = shown;
    this.text.readOnly = !custom;
    this.own.hidden = custom;
    this.back.hidden = !custom;
    const problem = desk.draft.problems.get(PROMPT_TEXT);
    this.problem.hidden = problem === undefined;
    this.problem.textContent = problem ?? '';
    if (problem === undefined) this.text.removeAttribute('aria-invalid');
    else this.text.setAttribute('aria-invalid', 'true');
    this.element.classList.toggle('changed', desk.draft.edits.has(PROMPT_TEXT));
    this.element.classList.toggle('wrong', problem !== undefined);
  }
}
